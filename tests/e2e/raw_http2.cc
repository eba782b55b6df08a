#include "tests/e2e/raw_http2.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

// RFC 9113, section 6.
constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7,
                  kWindowUpdate = 8;
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr uint16_t kInitialWindowSize = 4;
constexpr size_t kHeadBytes = 9;
constexpr size_t kMaxFrame = 16384;

std::string BigEndian(uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift));
  }
  return text;
}

uint32_t Number(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) {
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

// HPACK's literal field without indexing, with a new name; texts of up to 126 bytes.
std::string Field(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + BigEndian(name.size(), 1) + name + BigEndian(value.size(), 1) +
         value;
}

}  // namespace

RawHttp2::RawHttp2(const std::string& address)
    : socket_(ConnectTo(std::stoi(address.substr(address.rfind(':') + 1)))) {
  const std::string greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  EXPECT_EQ(send(socket_, greeting.data(), greeting.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(greeting.size()));
  SendFrame(kSettings, 0, 0, "");
}

RawHttp2::~RawHttp2() { close(socket_); }

void RawHttp2::SendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  const std::string frame = BigEndian(payload.size(), 3) + static_cast<char>(type) +
                            static_cast<char>(flags) + BigEndian(stream, 4) + std::string(payload);
  size_t sent = 0;
  while (sent < frame.size() && !closed_) {
    const ssize_t count = send(socket_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    closed_ = count <= 0;
    sent += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
}

bool RawHttp2::Receive(size_t bytes, absl::Time deadline, std::string* data) const {
  data->resize(bytes);
  size_t got = 0;
  while (got < bytes) {
    pollfd ready = {socket_, POLLIN, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left < 0 || poll(&ready, 1, static_cast<int>(left)) <= 0) {
      return false;
    }
    const ssize_t count = recv(socket_, data->data() + got, bytes - got, 0);
    if (count <= 0) {
      return false;
    }
    got += static_cast<size_t>(count);
  }
  return true;
}

bool RawHttp2::ReadFrame(absl::Time deadline) {
  std::string head, payload;
  if (!Receive(kHeadBytes, deadline, &head)) {
    closed_ = closed_ || absl::Now() < deadline;
    return false;
  }
  if (!Receive(Number(head.substr(0, 3)), deadline, &payload)) {
    return false;
  }
  const auto type = static_cast<uint8_t>(head[3]);
  const auto flags = static_cast<uint8_t>(head[4]);
  const uint32_t stream = Number(head.substr(5));
  if (type == kSettings && (flags & kAck) == 0) {
    for (size_t i = 0; i + 6 <= payload.size(); i += 6) {
      if (Number(payload.substr(i, 2)) == kInitialWindowSize) {
        const int64_t size = Number(payload.substr(i + 2, 4));
        stream_window_ += size - initial_window_;
        initial_window_ = size;
      }
    }
    settled_ = true;
    SendFrame(kSettings, kAck, 0, "");
  } else if (type == kPing && (flags & kAck) == 0) {
    SendFrame(kPing, kAck, 0, payload);
  } else if (type == kWindowUpdate) {
    (stream == 0 ? connection_window_ : stream_window_) += Number(payload);
  } else if (type == kReset && stream == stream_) {
    reset_ = true;
  } else if ((type == kHeaders || type == kData) && stream == stream_) {
    answered_ = answered_ || (flags & kEndStream) != 0;
  } else if (type == kGoAway) {
    closed_ = true;
  }
  return true;
}

RawHttp2::End RawHttp2::Post(const std::string& path,
                             const std::map<std::string, std::string>& headers,
                             std::string_view body, bool half, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!settled_ && ReadFrame(deadline)) {
  }
  stream_ += 2;
  stream_window_ = initial_window_;
  answered_ = reset_ = false;
  std::string fields = Field(":method", "POST") + Field(":scheme", "http") + Field(":path", path) +
                       Field(":authority", "localhost") + Field("te", "trailers") +
                       Field("content-type", "application/grpc");
  for (const auto& [name, value] : headers) {
    fields += Field(name, value);
  }
  const bool empty = body.empty() && !half;
  SendFrame(kHeaders, kEndHeaders | (empty ? kEndStream : 0), stream_, fields);
  while (!body.empty() && !answered_ && !reset_ && !closed_ && absl::Now() < deadline) {
    const int64_t room = std::min(connection_window_, stream_window_);
    if (room <= 0) {
      ReadFrame(deadline);
      continue;
    }
    const size_t size = std::min({body.size(), kMaxFrame, static_cast<size_t>(room)});
    SendFrame(kData, size == body.size() && !half ? kEndStream : 0, stream_, body.substr(0, size));
    connection_window_ -= static_cast<int64_t>(size);
    stream_window_ -= static_cast<int64_t>(size);
    body.remove_prefix(size);
  }
  while (!answered_ && !reset_ && !closed_ && ReadFrame(deadline)) {
  }
  return answered_ ? End::kAnswered : reset_ ? End::kReset : closed_ ? End::kClosed : End::kTimeout;
}

std::string MessageFrame(std::string_view payload, bool compressed) {
  return std::string(1, compressed ? '\1' : '\0') + BigEndian(payload.size(), 4) +
         std::string(payload);
}

std::string GzippedZeros(int64_t bytes) {
  constexpr int kGzip = 15 + 16;  // greatest window, gzip's header
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY),
            Z_OK);
  std::string zeros(1 << 20, '\0');
  std::string out(1 << 16, '\0');
  std::string file;
  for (int64_t left = bytes; left > 0 || stream.avail_out == 0;) {
    const auto piece = static_cast<uInt>(std::min<int64_t>(left, 1 << 20));
    left -= piece;
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = piece;
    do {
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(out.size());
      deflate(&stream, left == 0 ? Z_FINISH : Z_NO_FLUSH);
      file.append(out.data(), out.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }
  deflateEnd(&stream);
  return file;
}

}  // namespace stylex
