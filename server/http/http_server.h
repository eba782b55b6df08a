// A port that answers HTTP, whose threads slow, silent and too many clients cannot hold.
//
//   HttpServer server({.threads = 8});
//   server.Get("/metrics", ...);  // cpp-httplib's routes and handlers
//   STYLEX_ASSIGN_OR_RETURN(const int port, server.Bind("127.0.0.1", 0, "metrics"));
//   server.Start();
//
// A connection carries one request. What a handler computes counts for none of the limits: those
// are of the time in which a thread waits for the other end. Thread-safe once it has started.
#ifndef STYLEX_SERVER_HTTP_HTTP_SERVER_H_
#define STYLEX_SERVER_HTTP_HTTP_SERVER_H_

#include <httplib.h>
#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace stylex {

struct HttpLimits {
  size_t threads = 8;     // connections that are served at a time
  int most_waiting = 64;  // for a thread; further ones are closed at once
  // How long a connection may keep its thread waiting, for all its bytes together, in and out,
  absl::Duration network = absl::Seconds(5);
  // and while all threads are taken and other connections wait.
  absl::Duration when_others_wait = absl::Milliseconds(500);
  size_t most_bytes = size_t{1} << 20;  // that are read of a connection
  // Of these before the head ends: the library keeps a header of five bytes in over a hundred.
  size_t most_head_bytes = size_t{64} << 10;
};

// The connections that there are.
struct HttpCrowd {
  std::atomic<int> waiting = 0, served = 0;
};

class HttpServer final : public httplib::Server {
 public:
  explicit HttpServer(const HttpLimits& limits);
  // As Stop.
  ~HttpServer() override;

  // Connections speak TLS; call before Start. `current` is called for each on its thread, and
  // returns what it is to use (server/http/tls_context.h).
  void UseTls(std::function<std::shared_ptr<SSL_CTX>()> current) { tls_ = std::move(current); }
  // Takes `port` (0: any free one) of `host` (a name or an address, IPv6 also in brackets) and
  // returns it; call once. UNAVAILABLE, with `purpose` in the message, when it cannot be had.
  absl::StatusOr<int> Bind(const std::string& host, int port, absl::string_view purpose);
  // Begins to answer; routes and handlers are added before. Call once, after Bind. Where the system
  // cannot accept connections for a while, the port is taken again, with a line in the log.
  void Start();
  // Ends connections that have not sent their request; waits for the handlers that run, and sends
  // their answers as far as the other end takes them at once.
  void Stop();

  // Called by a handler: whether its client has closed the connection.
  static bool ClientLeft();

 private:
  // Accepts connections until Stop.
  void Listen();
  // Called by the library on one of its threads for each connection.
  bool process_and_close_socket(socket_t socket) override;
  template <class Self, class Connection>
  static bool Process(Self* self, Connection* stream);

  const HttpLimits limits_;
  std::function<std::shared_ptr<SSL_CTX>()> tls_;  // empty: none
  std::string host_, purpose_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false, ended_ = false;
  HttpCrowd crowd_;
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_HTTP_HTTP_SERVER_H_
