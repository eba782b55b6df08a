#include "server/web/live_page.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/html.h"
#include "base/status_macros.h"
#include "server/http/tls_context.h"
#include "server/rpc/errors.h"
#include "server/rpc/forwarded_peer.h"
#include "server/web/http_errors.h"
#include "server/web/resources.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {
namespace {

constexpr size_t kMostHeadBytes = size_t{64} << 10;
constexpr size_t kMostHeaderBytes = 4096;  // of a value that is passed on
// Of a body: itself, and what is parsed from it.
constexpr int64_t kCopies = 2;
// A body's memory is taken in steps of so many bytes of it.
constexpr int64_t kMemoryStep = int64_t{256} << 10;

// The most bytes of JSON that an acceptable request has: bytes are a third longer in it.
size_t MostBodyBytes(size_t max_message_bytes) {
  return max_message_bytes / 3 * 4 + kMostHeadBytes;
}

// What the body of a request takes of the memory of requests: as it comes, for one that is
// announced and never sent must not keep others out.
class BodyMemory {
 public:
  // Null: unbounded.
  explicit BodyMemory(MemoryBudget* budget) : budget_(budget) {}

  // Takes what `bytes` need of the `most` that may come; false if that is not to be had.
  bool Cover(int64_t bytes, int64_t most) {
    while (budget_ != nullptr && covered_ < std::min(bytes, most)) {
      const int64_t step = std::min(kMemoryStep, most - covered_);
      std::optional<MemoryBudget::Share> share = budget_->TryTake(step);
      if (!share.has_value()) {
        return false;
      }
      shares_.push_back(*std::move(share));
      covered_ += step;
    }
    return true;
  }
  void Release() {
    shares_.clear();
    covered_ = 0;
  }

 private:
  MemoryBudget* const budget_;
  std::vector<MemoryBudget::Share> shares_;
  int64_t covered_ = 0;
};

HttpLimits LimitsOf(const LivePage::Options& options) {
  HttpLimits limits = options.limits;
  // Room for a body that is refused for its size, and read to its end so that this is heard.
  limits.most_bytes = 2 * MostBodyBytes(options.max_message_bytes) + kMostHeadBytes;
  return limits;
}

// Of every answer. There is no Access-Control-Allow-Origin, and no cookie is ever set.
httplib::Headers SafeHeaders() {
  return {
      {"Content-Security-Policy",
       absl::StrCat("default-src 'none'; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'; connect-src 'self'; img-src data: blob:; style-src ",
                    PolicySource(kLiveStyle), "; script-src ", PolicySource(kLiveScript))},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cache-Control", "no-store"}};
}

std::string RenderPage(const LivePage::Options& options) {
  const std::map<std::string, std::string> texts = {
      {"{{style}}", std::string(kLiveStyle)},
      {"{{script}}", std::string(kLiveScript)},
      {"{{version}}", STYLEX_VERSION},
      {"{{grpc}}", EscapeHtml(options.grpc_address)},
      {"{{grpc_tls}}", options.tls != nullptr ? "true" : "false"},
      {"{{style_hash}}", PolicySource(kLiveStyle)},
      {"{{most}}", absl::StrCat(options.max_message_bytes)}};
  return absl::StrReplaceAll(absl::string_view(kLiveTemplate.data(), kLiveTemplate.size()), texts);
}

void Tell(int code, const grpc::Status& status, httplib::Response* answer) {
  answer->status = code;
  answer->set_content(StatusJson(status), kJsonType);
  if (code == 401) {
    answer->set_header("WWW-Authenticate", "Bearer");
  }
  if (code == 405) {
    answer->set_header("Allow", "GET, HEAD, POST");
  }
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    answer->set_header("Retry-After", "1");
  }
}

void Refuse(int code, const absl::Status& why, const httplib::Request& request,
            httplib::Response* answer) {
  spdlog::info("web: {} for {} {} of {}: {}", code, Quoted(request.method), Quoted(request.path),
               request.remote_addr, std::string(why.message()));
  Tell(code, ToGrpcStatus(why, ""), answer);
}

void RefuseForStatus(const absl::Status& why, const httplib::Request& request,
                     httplib::Response* answer) {
  Refuse(HttpCodeOf(static_cast<grpc::StatusCode>(why.code())), why, request, answer);
}

// What the library itself refuses: a head that is none, one that is too long, an unknown path.
void TellWhatTheLibraryFound(const httplib::Request& request, httplib::Response* answer) {
  const int code = answer->status;
  const absl::Status why =
      code == 404 ? absl::NotFoundError(absl::StrCat("there is nothing at ", Quoted(request.path)))
      : code == 500 ? absl::InternalError("the request failed")
                    : absl::InvalidArgumentError("this is no HTTP request that is answered here");
  Tell(code, ToGrpcStatus(why, ""), answer);
}

// As gRPC writes addresses.
std::string PeerText(const httplib::Request& request) {
  const bool is_ipv6 = absl::StrContains(request.remote_addr, ':');
  return is_ipv6 ? absl::StrCat("ipv6:%5B", request.remote_addr, "%5D:", request.remote_port)
                 : absl::StrCat("ipv4:", request.remote_addr, ":", request.remote_port);
}

// gRPC ends the process over other metadata.
bool IsMetadata(const std::string& value) {
  return !value.empty() && value.size() <= kMostHeaderBytes &&
         std::all_of(value.begin(), value.end(),
                     [](unsigned char c) { return absl::ascii_isprint(c); });
}

JsonCaller CallerOf(const httplib::Request& request) {
  JsonCaller caller;
  caller.metadata.push_back(ForwardedPeer(PeerText(request)));
  for (const char* const key : {"authorization", "x-request-id", "traceparent"}) {
    const std::string value = request.get_header_value(key);
    if (IsMetadata(value)) {
      caller.metadata.emplace_back(key, value);
    }
  }
  caller.left = HttpServer::ClientLeft;
  return caller;
}

}  // namespace

LivePage::LivePage(const Options& options, std::shared_ptr<grpc::Channel> channel)
    : options_(options),
      rules_({.hosts = {},
              .most_body_bytes = MostBodyBytes(options.max_message_bytes),
              .tokens = options.tokens}),
      api_(std::move(channel),
           {.deadline = options.deadline, .most_answer_bytes = options.max_message_bytes}),
      page_(RenderPage(options)),
      server_(LimitsOf(options)) {}

LivePage::~LivePage() { server_.Stop(); }

absl::StatusOr<std::unique_ptr<LivePage>> LivePage::Open(const Options& options,
                                                         std::shared_ptr<grpc::Channel> channel) {
  std::unique_ptr<LivePage> page(new LivePage(options, std::move(channel)));
  page->AddRoutes();
  if (options.tls != nullptr) {
    if (page->TlsContext() == nullptr) {
      return absl::InvalidArgumentError("the live page cannot use the TLS certificate");
    }
    page->server_.UseTls([live = page.get()] { return live->TlsContext(); });
  }
  STYLEX_ASSIGN_OR_RETURN(page->port_,
                          page->server_.Bind(options.host, options.port, "the live page"));
  page->rules_.hosts = HostsOf(options.host, page->port_, options.allowed_hosts);
  page->server_.Start();
  return page;
}

std::shared_ptr<SSL_CTX> LivePage::TlsContext() {
  std::shared_ptr<const TlsPair> pair = options_.tls->Current();
  const MutexLock lock(&tls_mutex_);
  if (pair != tls_pair_) {
    absl::StatusOr<std::shared_ptr<SSL_CTX>> context =
        MakeTlsContext({pair->certificate, pair->key, pair->client_ca});
    if (context.ok()) {
      tls_context_ = *std::move(context);
    } else {
      spdlog::error("web: {}", std::string(context.status().message()));
    }
    tls_pair_ = std::move(pair);
  }
  return tls_context_;
}

void LivePage::AddRoutes() {
  using Handling = httplib::Server::HandlerResponse;
  server_.set_default_headers(SafeHeaders());
  server_.set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& answer) {
        if (const std::optional<Refusal> refusal = RefusalOf(rules_, request)) {
          Refuse(refusal->code, refusal->why, request, &answer);
          return Handling::Handled;
        }
        return Handling::Unhandled;
      });
  server_.Get("/", [this](const httplib::Request&, httplib::Response& answer) {
    answer.set_content(page_, "text/html; charset=utf-8");
  });
  server_.Get("/v1/.*", [this](const httplib::Request& request, httplib::Response& answer) {
    const std::optional<JsonRoute> route = RouteOf("GET", request.path);
    if (!route.has_value()) {
      answer.status = 404;
      return;
    }
    v1::GetModelRequest model;
    v1::ListModelsRequest models;
    model.set_model(route->model);
    models.set_page_token(request.get_param_value("pageToken"));
    int32_t size = 0;
    if (absl::SimpleAtoi(request.get_param_value("pageSize"), &size)) {
      models.set_page_size(size);
    }
    const bool lists = route->method->input_type() == v1::ListModelsRequest::descriptor();
    Answer(*route, lists ? static_cast<const google::protobuf::Message&>(models) : model, request,
           &answer);
  });
  // Whatever the path, line ends in it included: the library itself reads the body of a path that
  // has no handler, and keeps it beside all budgets.
  server_.Post(R"([\s\S]*)",
               [this](const httplib::Request& request, httplib::Response& answer,
                      const httplib::ContentReader& read) { Post(request, read, &answer); });
  server_.set_error_handler(httplib::Server::HandlerWithResponse(
      [](const httplib::Request& request, httplib::Response& answer) {
        if (answer.body.empty()) {
          TellWhatTheLibraryFound(request, &answer);
        }
        return Handling::Handled;
      }));
  server_.set_exception_handler([](const httplib::Request&, httplib::Response& answer,
                                   const std::exception_ptr&) { answer.status = 500; });
}

void LivePage::Post(const httplib::Request& request, const httplib::ContentReader& read,
                    httplib::Response* answer) const {
  const std::optional<JsonRoute> route = RouteOf("POST", request.path);
  if (!route.has_value()) {
    answer->status = 404;
    return;
  }
  size_t length = 0;
  (void)absl::SimpleAtoi(request.get_header_value("Content-Length"), &length);  // checked before
  std::string body;
  BodyMemory memory(options_.requests);
  const auto covers = [&memory](size_t bytes, size_t most) {
    return memory.Cover(kCopies * static_cast<int64_t>(bytes),
                        kCopies * static_cast<int64_t>(most));
  };
  bool full = false;
  const bool whole = read([&](const char* data, size_t size) {
    full = !covers(body.size() + size, length);
    if (!full) {
      body.append(data, size);
    }
    return !full && body.size() <= length;
  });
  if (full) {
    RefuseForStatus(MemoryFullError(), request, answer);
    return;
  }
  if (!whole || body.size() != length) {
    answer->status = 400;
    return;
  }
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> message = ReadRequest(*route, body);
  if (!message.ok()) {
    RefuseForStatus(message.status(), request, answer);
    return;
  }
  body = std::string();
  memory.Release();
  // The message stays beside the call's copy of it, which has a share of its own.
  const auto kept = static_cast<int64_t>((*message)->SpaceUsedLong());
  if (!memory.Cover(kept, kept)) {
    RefuseForStatus(MemoryFullError(), request, answer);
    return;
  }
  Answer(*route, **message, request, answer);
}

void LivePage::Answer(const JsonRoute& route, const google::protobuf::Message& message,
                      const httplib::Request& request, httplib::Response* answer) const {
  const JsonAnswer called = api_.Call(route.method, message, CallerOf(request));
  if (IsMetadata(called.request_id)) {
    answer->set_header("X-Request-Id", called.request_id);
  }
  if (called.status.ok()) {
    answer->set_content(called.json, kJsonType);
  } else {
    Tell(HttpCodeOf(called.status.error_code()), called.status, answer);
  }
}

}  // namespace stylex
