// A gRPC client of frames written by hand, for requests that no gRPC library would send.
#ifndef STYLEX_TESTS_E2E_RAW_HTTP2_H_
#define STYLEX_TESTS_E2E_RAW_HTTP2_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace stylex {

// One connection; honours the server's flow control.
class RawHttp2 {
 public:
  // Connects to "127.0.0.1:PORT" and greets.
  explicit RawHttp2(const std::string& address);
  ~RawHttp2();
  RawHttp2(const RawHttp2&) = delete;
  RawHttp2& operator=(const RawHttp2&) = delete;

  using Headers = std::map<std::string, std::string>;
  enum class End { kAnswered, kReset, kClosed, kTimeout };
  // What follows a request's body.
  enum class Then { kEnd, kNothing, kReset };
  // Posts `body` to `path` with gRPC's usual headers and `headers`. Returns how the server ended
  // the stream; kReset if the client did, and the server still answers pings.
  End Post(const std::string& path, const Headers& headers, std::string_view body,
           Then then = Then::kEnd, absl::Duration patience = absl::Seconds(30));
  // The grpc-status of the last answer that had one; -1 before.
  int status() const { return status_; }

  // Begins `streams` requests, each with a message of `bytes` of which the last byte is never sent,
  // and sends of them what the server takes, until it takes nothing for `patience`. Returns the
  // bytes that it took.
  int64_t PostHalves(const std::string& path, int streams, int64_t bytes,
                     absl::Duration patience = absl::Seconds(1));

 private:
  struct Stream {
    int64_t window = 0;
    bool answered = false;
    bool reset = false;
    bool ended() const { return answered || reset; }
  };

  // A new stream with these headers, and its number.
  uint32_t Begin(const std::string& path, const Headers& headers, bool end, absl::Time deadline);
  // Sends as much of `data`, at most a frame, as the server takes now; returns that.
  size_t SendData(uint32_t stream, std::string_view data, bool end);
  void SendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  // Reads one frame, if one comes in time; answers pings and settings.
  bool ReadFrame(absl::Time deadline);
  void TakeSettings(std::string_view payload);
  bool Receive(size_t bytes, absl::Time deadline, std::string* data) const;
  bool AwaitBytes(absl::Time deadline) const;
  // Whether the server answers a ping.
  bool Ping(absl::Time deadline);

  int socket_ = -1;
  uint32_t last_ = 0xffffffff;  // the last stream; the first is 1
  std::map<uint32_t, Stream> streams_;
  int64_t connection_window_ = 65535;
  int64_t initial_window_ = 65535;
  int status_ = -1;
  bool settled_ = false;  // the server's settings have come
  bool ponged_ = false;
  bool closed_ = false;
};

// A gRPC message frame: whether it is compressed, its length, `payload`.
std::string MessageFrame(std::string_view payload, bool compressed);

// `bytes` zeros as a gzip file, made piece by piece.
std::string GzippedZeros(int64_t bytes);

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_RAW_HTTP2_H_
