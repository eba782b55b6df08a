// The live page: an HTTP port with one page, which shows a person why the models decide as they do,
// and the JSON API (server/web/json_api.h) that the page calls.
//
// Thread-safe. What it answers is told in docs/live_page.md.
#ifndef STYLEX_SERVER_WEB_LIVE_PAGE_H_
#define STYLEX_SERVER_WEB_LIVE_PAGE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/http/http_server.h"
#include "server/rpc/access_tokens.h"
#include "server/rpc/transport_security.h"
#include "server/scheduling/memory_budget.h"
#include "server/web/json_api.h"
#include "server/web/request_rules.h"

namespace stylex {

class LivePage {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 0;                    // 0: any free one
    std::string allowed_hosts = {};  // besides this machine's own names, separated by commas
    HttpLimits limits = {.threads = 32,
                         .most_waiting = 64,
                         .network = absl::Seconds(10),
                         .when_others_wait = absl::Seconds(2)};
    size_t max_message_bytes = size_t{16} << 20;
    absl::Duration deadline = absl::Seconds(60);  // of a call
    std::string grpc_address = {};                // what the page shows for other clients
    std::shared_ptr<TlsSource> tls = nullptr;     // null: plain HTTP
    AccessTokens* tokens = nullptr;               // may be null
    MemoryBudget* requests = nullptr;             // holds what is read; null: unbounded
  };

  // Answers until destruction; calls are made on `channel`, which is within this process. What
  // `options` points to must outlive this. UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<LivePage>> Open(const Options& options,
                                                        std::shared_ptr<grpc::Channel> channel);
  // Waits for the calls that run.
  ~LivePage();

  int port() const { return port_; }

 private:
  LivePage(const Options& options, std::shared_ptr<grpc::Channel> channel);
  void AddRoutes();
  // What a connection that is made now uses.
  std::shared_ptr<SSL_CTX> TlsContext();
  // Reads the body of a POST and answers it.
  void Post(const httplib::Request& request, const httplib::ContentReader& read,
            httplib::Response* answer) const;
  void Answer(const JsonRoute& route, const google::protobuf::Message& message,
              const httplib::Request& request, httplib::Response* answer) const;

  const Options options_;
  RequestRules rules_;
  const JsonApi api_;
  const std::string page_;
  int port_ = 0;
  Mutex tls_mutex_;
  std::shared_ptr<const TlsPair> tls_pair_ ABSL_GUARDED_BY(tls_mutex_);
  std::shared_ptr<SSL_CTX> tls_context_ ABSL_GUARDED_BY(tls_mutex_);  // of tls_pair_
  HttpServer server_;  // last: its threads use the other members
};

}  // namespace stylex

#endif  // STYLEX_SERVER_WEB_LIVE_PAGE_H_
