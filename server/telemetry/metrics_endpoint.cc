#include "server/telemetry/metrics_endpoint.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/clock.h"

namespace stylex {
constexpr size_t kMetricsThreads = 8;  // connections that are served at a time

// The connections that there are.
struct MetricsCrowd {
  std::atomic<int> waiting = 0, served = 0;  // connections

  bool is_full() const { return waiting > 0 && served >= static_cast<int>(kMetricsThreads); }
};

namespace {

constexpr absl::Duration kWholeRequest = absl::Seconds(5);
// How often a waiting connection looks whether the endpoint is to end.
constexpr absl::Duration kLookUp = absl::Milliseconds(100);
constexpr size_t kMaxPayload = 1024;
// While all threads are taken and others wait, a connection gets less time, and no more than this
// many may wait: whoever opens many and sends nothing then delays a scrape by some four seconds at
// most.
constexpr absl::Duration kWhenOthersWait = absl::Milliseconds(500);
constexpr int kMostWaiting = 64;
constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// Whether the connection that this thread has just accepted is one too many.
thread_local bool one_too_many = false;

// Counts the connections.
class CountingPool : public httplib::TaskQueue {
 public:
  explicit CountingPool(MetricsCrowd* crowd) : crowd_(crowd) {}

  // void or bool, depending on the library's version.
  using Queued = decltype(std::declval<httplib::TaskQueue&>().enqueue(std::function<void()>()));
  Queued enqueue(std::function<void()> connection) override {
    if (crowd_->waiting >= kMostWaiting) {
      one_too_many = true;
      connection();  // closes it
      one_too_many = false;
      return Queued(true);
    }
    ++crowd_->waiting;
    return pool_.enqueue([crowd = crowd_, connection = std::move(connection)] {
      ++crowd->served;
      --crowd->waiting;
      connection();
      --crowd->served;
    });
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  MetricsCrowd* const crowd_;
  httplib::ThreadPool pool_{kMetricsThreads};
};

// A connection that fails once its time is over. The library's own timeouts count from the last
// byte. (The functions that only some versions of the library have are not marked as overriding.)
class DeadlineStream : public httplib::Stream {
 public:
  DeadlineStream(int socket, const std::atomic<bool>& stopping, const MetricsCrowd& crowd)
      : socket_(socket), stopping_(stopping), crowd_(crowd), start_(Clock::Real().Now()) {}

  bool is_readable() const override { return Await(POLLIN); }
  bool is_writable() const override { return Await(POLLOUT); }
  bool wait_readable() const { return Await(POLLIN); }
  bool wait_writable() const { return Await(POLLOUT); }
  time_t duration() const {
    return static_cast<time_t>(absl::ToInt64Milliseconds(Clock::Real().Now() - start_));
  }
  ssize_t read(char* data, size_t size) override {
    return Await(POLLIN) ? recv(socket_, data, size, MSG_DONTWAIT) : -1;
  }
  ssize_t write(const char* data, size_t size) override {
    return Await(POLLOUT) ? send(socket_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

 private:
  // False once the time is over.
  bool Await(short event) const {
    while (!stopping_) {
      const absl::Duration time = crowd_.is_full() ? kWhenOthersWait : kWholeRequest;
      const absl::Duration left = std::min(start_ + time - Clock::Real().Now(), kLookUp);
      if (left <= absl::ZeroDuration()) {
        return false;
      }
      pollfd ready = {socket_, event, 0};
      if (poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) > 0) {
        return true;
      }
    }
    return false;
  }

  const int socket_;
  const std::atomic<bool>& stopping_;
  const MetricsCrowd& crowd_;
  const absl::Time start_;
};

}  // namespace

class MetricsEndpoint::HttpServer : public httplib::Server {
 public:
  explicit HttpServer(std::function<std::string()> text) {
    new_task_queue = [this] { return new CountingPool(&crowd_); };
    set_payload_max_length(kMaxPayload);
    // By default two programs could share the port.
    set_socket_options([](socket_t listener) {
      const int on = 1;
      setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
    Get("/metrics", [text = std::move(text)](const httplib::Request&, httplib::Response& answer) {
      answer.set_content(text(), kContentType);
    });
    set_error_handler([](const httplib::Request&, httplib::Response& answer) {
      answer.set_content("only GET /metrics is answered here\n", kContentType);
    });
  }

  // Returns the port, or -1.
  int Bind(const std::string& host, int port) {
    if (port == 0) {
      return bind_to_any_port(host);
    }
    return bind_to_port(host, port) ? port : -1;
  }
  void Stop() {
    stopping_ = true;
    stop();
  }

 private:
  // Called by the library on one of its threads for each connection.
  bool process_and_close_socket(socket_t socket) override {
    bool processed = false;
    if (!one_too_many) {
      DeadlineStream stream(socket, stopping_, crowd_);
      processed = Process(this, &stream);
    }
    shutdown(socket, SHUT_RDWR);
    close(socket);
    return processed;
  }

  // The library's versions of Debian 12 and 13 differ in the parameters.
  template <class Self>
  static bool Process(Self* self, httplib::Stream* stream) {
    bool closed = false;
    const auto nothing = [](httplib::Request&) {};
    if constexpr (requires { self->process_request(*stream, true, closed, nothing); }) {
      return self->process_request(*stream, true, closed, nothing);
    } else {
      return self->process_request(*stream, "", 0, "", 0, true, closed, nothing);
    }
  }

  std::atomic<bool> stopping_ = false;
  MetricsCrowd crowd_;
};

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Open(
    const std::string& host, int port, std::function<std::string()> text) {
  auto server = std::make_unique<HttpServer>(std::move(text));
  absl::string_view name = host;
  if (absl::ConsumePrefix(&name, "[")) {
    absl::ConsumeSuffix(&name, "]");
  }
  errno = 0;
  const int bound = server->Bind(std::string(name), port);
  if (bound <= 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", host, ":", port,
        " for metrics: ", errno != 0 ? strerror(errno) : "is the address this machine's?"));
  }
  std::unique_ptr<MetricsEndpoint> endpoint(new MetricsEndpoint(std::move(server)));
  endpoint->port_ = bound;
  return endpoint;
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<HttpServer> server) : server_(std::move(server)) {
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  // Stopping has no effect before.
  while (!server_->is_running()) {
    std::this_thread::yield();
  }
}

MetricsEndpoint::~MetricsEndpoint() {
  server_->Stop();
  thread_.join();
}

}  // namespace stylex
