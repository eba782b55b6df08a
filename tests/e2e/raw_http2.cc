#include "tests/e2e/raw_http2.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/time/clock.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

// RFC 9113, section 6.
constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7,
                  kWindowUpdate = 8;
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr uint16_t kInitialWindowSize = 4;
constexpr uint32_t kCancel = 8;
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

// The grpc-status among an answer's fields, as far as they were never sent before on this
// connection: gRPC's server writes it without Huffman's code.
std::optional<int> StatusIn(std::string_view fields) {
  constexpr std::string_view kName = "grpc-status";
  const size_t at = fields.find(kName);
  if (at == std::string_view::npos || at + kName.size() >= fields.size()) {
    return std::nullopt;
  }
  const std::string_view value = fields.substr(at + kName.size() + 1);
  int status = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), status);
  return error == std::errc() ? std::optional(status) : std::nullopt;
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

bool RawHttp2::AwaitBytes(absl::Time deadline) const {
  pollfd ready = {socket_, POLLIN, 0};
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
  return poll(&ready, 1, static_cast<int>(std::max<int64_t>(left, 0))) > 0;
}

bool RawHttp2::Receive(size_t bytes, absl::Time deadline, std::string* data) const {
  data->resize(bytes);
  size_t got = 0;
  while (got < bytes) {
    if (!AwaitBytes(deadline)) {
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

void RawHttp2::TakeSettings(std::string_view payload) {
  for (size_t i = 0; i + 6 <= payload.size(); i += 6) {
    if (Number(payload.substr(i, 2)) == kInitialWindowSize) {
      const int64_t size = Number(payload.substr(i + 2, 4));
      for (auto& [number, stream] : streams_) {
        stream.window += size - initial_window_;
      }
      initial_window_ = size;
    }
  }
  settled_ = true;
  SendFrame(kSettings, kAck, 0, "");
}

bool RawHttp2::ReadFrame(absl::Time deadline) {
  if (!AwaitBytes(deadline)) {
    return false;
  }
  const absl::Time whole = deadline + absl::Seconds(10);  // for what has begun to come
  std::string head, payload;
  if (!Receive(kHeadBytes, whole, &head) || !Receive(Number(head.substr(0, 3)), whole, &payload)) {
    closed_ = true;
    return false;
  }
  const auto type = static_cast<uint8_t>(head[3]);
  const auto flags = static_cast<uint8_t>(head[4]);
  const uint32_t number = Number(head.substr(5));
  const auto stream = streams_.find(number);
  if (type == kSettings && (flags & kAck) == 0) {
    TakeSettings(payload);
  } else if (type == kPing && (flags & kAck) == 0) {
    SendFrame(kPing, kAck, 0, payload);
  } else if (type == kPing) {
    ponged_ = true;
  } else if (type == kGoAway) {
    closed_ = true;
  } else if (type == kWindowUpdate && number == 0) {
    connection_window_ += Number(payload);
  } else if (stream == streams_.end()) {
    return true;
  } else if (type == kWindowUpdate) {
    stream->second.window += Number(payload);
  } else if (type == kReset) {
    stream->second.reset = true;
  } else if (type == kHeaders || type == kData) {
    stream->second.answered = stream->second.answered || (flags & kEndStream) != 0;
    status_ = type == kHeaders ? StatusIn(payload).value_or(status_) : status_;
  }
  return true;
}

uint32_t RawHttp2::Begin(const std::string& path, const Headers& headers, bool end,
                         absl::Time deadline) {
  while (!settled_ && ReadFrame(deadline)) {
  }
  last_ += 2;
  streams_[last_].window = initial_window_;
  std::string fields = Field(":method", "POST") + Field(":scheme", "http") + Field(":path", path) +
                       Field(":authority", "localhost") + Field("te", "trailers") +
                       Field("content-type", "application/grpc");
  for (const auto& [name, value] : headers) {
    fields += Field(name, value);
  }
  SendFrame(kHeaders, kEndHeaders | (end ? kEndStream : 0), last_, fields);
  return last_;
}

size_t RawHttp2::SendData(uint32_t number, std::string_view data, bool end) {
  Stream& stream = streams_[number];
  const int64_t room = std::min(connection_window_, stream.window);
  if (room <= 0 || stream.ended() || closed_) {
    return 0;
  }
  const size_t size = std::min({data.size(), kMaxFrame, static_cast<size_t>(room)});
  SendFrame(kData, size == data.size() && end ? kEndStream : 0, number, data.substr(0, size));
  connection_window_ -= static_cast<int64_t>(size);
  stream.window -= static_cast<int64_t>(size);
  return size;
}

bool RawHttp2::Ping(absl::Time deadline) {
  ponged_ = false;
  SendFrame(kPing, 0, 0, std::string(8, 'p'));
  while (!ponged_ && !closed_ && ReadFrame(deadline)) {
  }
  return ponged_;
}

RawHttp2::End RawHttp2::Post(const std::string& path, const Headers& headers, std::string_view body,
                             Then then, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  const bool end = then == Then::kEnd;
  const uint32_t number = Begin(path, headers, body.empty() && end, deadline);
  const Stream& stream = streams_[number];
  while (!body.empty() && !stream.ended() && !closed_ && absl::Now() < deadline) {
    const size_t sent = SendData(number, body, end);
    if (sent == 0) {
      ReadFrame(deadline);
    }
    body.remove_prefix(sent);
  }
  if (then == Then::kReset) {
    SendFrame(kReset, 0, number, BigEndian(kCancel, 4));
    return Ping(deadline) ? End::kReset : closed_ ? End::kClosed : End::kTimeout;
  }
  while (!stream.ended() && !closed_ && ReadFrame(deadline)) {
  }
  return stream.answered ? End::kAnswered
         : stream.reset  ? End::kReset
         : closed_       ? End::kClosed
                         : End::kTimeout;
}

int64_t RawHttp2::PostHalves(const std::string& path, int streams, int64_t bytes,
                             absl::Duration patience) {
  const timeval longest = {.tv_sec = absl::ToInt64Seconds(patience) + 1, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof(longest));
  const std::string zeros(kMaxFrame, '\0');
  std::map<uint32_t, int64_t> left;
  for (int i = 0; i < streams; ++i) {
    const uint32_t number = Begin(path, {}, /*end=*/false, absl::Now() + patience);
    SendData(number, std::string(1, '\0') + BigEndian(static_cast<uint64_t>(bytes), 4), false);
    left[number] = bytes - 1;
  }
  int64_t taken = 0;
  bool more = true;
  while (more && !closed_) {
    more = false;
    for (auto& [number, of_stream] : left) {
      const auto part = static_cast<size_t>(std::min<int64_t>(of_stream, kMaxFrame));
      const auto sent =
          static_cast<int64_t>(SendData(number, std::string_view(zeros).substr(0, part), false));
      of_stream -= sent;
      taken += sent;
      more = more || sent > 0;
    }
    more = ReadFrame(absl::Now() + (more ? absl::ZeroDuration() : patience)) || more;
  }
  return taken;
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
