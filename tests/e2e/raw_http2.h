// A gRPC client of frames written by hand, for requests that no gRPC library would send.
#ifndef STYLEX_TESTS_E2E_RAW_HTTP2_H_
#define STYLEX_TESTS_E2E_RAW_HTTP2_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace stylex {

// One connection with one stream at a time; honours the server's flow control.
class RawHttp2 {
 public:
  // Connects to "127.0.0.1:PORT" and greets.
  explicit RawHttp2(const std::string& address);
  ~RawHttp2();
  RawHttp2(const RawHttp2&) = delete;
  RawHttp2& operator=(const RawHttp2&) = delete;

  enum class End { kAnswered, kReset, kClosed, kTimeout };
  // Posts `body` to `path` with gRPC's usual headers and `headers`; ends the request unless
  // `half` is set. Returns how the server ended the stream.
  End Post(const std::string& path, const std::map<std::string, std::string>& headers,
           std::string_view body, bool half = false, absl::Duration patience = absl::Seconds(30));

 private:
  void SendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  // Reads one frame, if one comes in time; answers pings and settings.
  bool ReadFrame(absl::Time deadline);
  bool Receive(size_t bytes, absl::Time deadline, std::string* data) const;

  int socket_ = -1;
  uint32_t stream_ = 0xffffffff;  // the last one; the first is 1
  int64_t connection_window_ = 65535;
  int64_t stream_window_ = 65535;
  int64_t initial_window_ = 65535;
  bool settled_ = false;  // the server's settings have come
  bool closed_ = false;
  bool answered_ = false;
  bool reset_ = false;
};

// A gRPC message frame: whether it is compressed, its length, `payload`.
std::string MessageFrame(std::string_view payload, bool compressed);

// `bytes` zeros as a gzip file, made piece by piece.
std::string GzippedZeros(int64_t bytes);

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_RAW_HTTP2_H_
