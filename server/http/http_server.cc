#include "server/http/http_server.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/exceptions.h"

namespace stylex {
namespace {

// How often a waiting connection looks whether the server is to end.
constexpr absl::Duration kLookUp = absl::Milliseconds(100);
// Time in which a client that still sends is to read its answer.
constexpr absl::Duration kLinger = absl::Seconds(1);
// Between the failure of a port and the next attempt to take it.
constexpr absl::Duration kPause = absl::Milliseconds(50);
constexpr int kPausesBeforeRetry = 10;

// Whether the connection that this thread has just accepted is one too many.
thread_local bool one_too_many = false;
// The connection that this thread serves; -1: none.
thread_local socket_t served_socket = -1;

// Counts the connections.
class CountingPool : public httplib::TaskQueue {
 public:
  CountingPool(const HttpLimits& limits, HttpCrowd* crowd)
      : most_waiting_(limits.most_waiting), crowd_(crowd), pool_(limits.threads) {}

  // void or bool, depending on the library's version.
  using Queued = decltype(std::declval<httplib::TaskQueue&>().enqueue(std::function<void()>()));
  Queued enqueue(std::function<void()> connection) override {
    if (crowd_->waiting >= most_waiting_ || !Wait(connection)) {
      one_too_many = true;
      connection();  // closes it
      one_too_many = false;
    }
    return Queued(true);
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  // False without memory for it, which must not end the thread that accepts.
  bool Wait(const std::function<void()>& connection) {
    ++crowd_->waiting;
    const auto put = [&] {
      pool_.enqueue([crowd = crowd_, connection] {
        ++crowd->served;
        --crowd->waiting;
        connection();
        --crowd->served;
      });
      return absl::OkStatus();
    };
    const bool waits = WithoutExceptions(put).ok();
    crowd_->waiting -= waits ? 0 : 1;
    return waits;
  }

  const int most_waiting_;
  HttpCrowd* const crowd_;
  httplib::ThreadPool pool_;
};

// A connection that fails once its limits are reached. The library's own timeouts count from the
// last byte. (The functions that only some versions of the library have are not marked as
// overriding.)
class LimitedStream : public httplib::Stream {
 public:
  LimitedStream(int socket, const HttpLimits& limits, const std::atomic<bool>& stopping,
                const HttpCrowd& crowd)
      : socket_(socket), limits_(limits), stopping_(stopping), crowd_(crowd) {}

  // Call first, if at all. False where the other end does not speak TLS, or not in time.
  bool Encrypt(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
    return ssl_ != nullptr && SSL_set_fd(ssl_.get(), socket_) == 1 &&
           Retry([this] { return SSL_accept(ssl_.get()); }) > 0;
  }

  bool is_readable() const override {
    return begin_ < end_ || (ssl_ != nullptr && SSL_pending(ssl_.get()) > 0) || Await(POLLIN);
  }
  bool is_writable() const override { return Await(POLLOUT); }
  bool wait_readable() const { return is_readable(); }
  bool wait_writable() const { return is_writable(); }
  time_t duration() const { return static_cast<time_t>(absl::ToInt64Milliseconds(waited_)); }
  // Buffered: the library reads a request's head byte by byte.
  ssize_t read(char* data, size_t size) override {
    if (begin_ == end_ && !Fill()) {
      return at_end_ ? 0 : -1;
    }
    const size_t count = std::min(size, end_ - begin_);
    std::memcpy(data, buffer_.data() + begin_, count);
    begin_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* data, size_t size) override {
    if (ssl_ != nullptr) {
      const int most = static_cast<int>(std::min(size, size_t{1} << 20));
      return Retry([&] { return SSL_write(ssl_.get(), data, most); });
    }
    return Await(POLLOUT) ? send(socket_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
  }
  void get_remote_ip_and_port(std::string& address, int& port) const override {
    sockaddr_storage peer = {};
    socklen_t size = sizeof(peer);
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> service{};
    auto* const generic = reinterpret_cast<sockaddr*>(&peer);
    if (getpeername(socket_, generic, &size) == 0 &&
        getnameinfo(generic, size, host.data(), host.size(), service.data(), service.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
      address = host.data();
      port = std::atoi(service.data());
    }
  }
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

  // Call when the head has been read: what follows may be longer.
  void EndHead() { most_bytes_ = limits_.most_bytes; }

  // Reads on for a moment what nobody asked for: a socket that is closed with unread bytes resets
  // the connection, and the client may never see its answer.
  void Linger() {
    EndHead();  // what is thrown away takes no memory
    if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get()) == 1) {
      SSL_shutdown(ssl_.get());
    }
    ssl_ = nullptr;  // what still comes is not even deciphered
    shutdown(socket_, SHUT_WR);
    most_ = std::min(limits_.network, waited_ + kLinger);
    while (!at_end_ && Fill()) {
    }
  }

 private:
  bool Fill() {
    if (total_ >= most_bytes_) {
      return false;
    }
    const ssize_t count = Receive();
    at_end_ = count == 0;
    begin_ = 0;
    end_ = count > 0 ? static_cast<size_t>(count) : 0;
    total_ += end_;
    return count > 0;
  }
  ssize_t Receive() {
    if (ssl_ != nullptr) {
      const int most = static_cast<int>(buffer_.size());
      return Retry([&] { return SSL_read(ssl_.get(), buffer_.data(), most); });
    }
    return Await(POLLIN) ? recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) : -1;
  }
  // Calls a function of OpenSSL until it is done: more than 0; 0 at the end, less on failure.
  template <class Operation>
  int Retry(const Operation& operation) const {
    while (true) {
      ERR_clear_error();
      const int done = operation();
      if (done > 0) {
        return done;
      }
      const int why = SSL_get_error(ssl_.get(), done);
      if (why == SSL_ERROR_ZERO_RETURN) {
        return 0;
      }
      const bool waits = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
      if (!waits || !Await(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) {
        return -1;
      }
    }
  }
  bool is_full() const {
    return crowd_.waiting > 0 && crowd_.served >= static_cast<int>(limits_.threads);
  }
  // False once the time is over.
  bool Await(short event) const {
    while (true) {
      const absl::Duration time = is_full() ? std::min(most_, limits_.when_others_wait) : most_;
      const absl::Duration left = std::min(time - waited_, kLookUp);
      if (left <= absl::ZeroDuration() || (stopping_ && event == POLLIN)) {
        return false;
      }
      const absl::Time start = Clock::Real().Now();
      pollfd ready = {socket_, event, 0};
      const int count = poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
      waited_ += Clock::Real().Now() - start;
      if (count > 0) {
        return true;
      }
      if (stopping_) {
        return false;
      }
    }
  }

  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  const int socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;  // null: plain
  const HttpLimits& limits_;
  const std::atomic<bool>& stopping_;
  const HttpCrowd& crowd_;
  absl::Duration most_ = limits_.network;
  size_t most_bytes_ = std::min(limits_.most_head_bytes, limits_.most_bytes);
  mutable absl::Duration waited_;
  std::array<char, 8192> buffer_;
  size_t begin_ = 0, end_ = 0;  // of what is in the buffer
  size_t total_ = 0;
  bool at_end_ = false;
};

}  // namespace

HttpServer::HttpServer(const HttpLimits& limits) : limits_(limits) {
  new_task_queue = [this] { return new CountingPool(limits_, &crowd_); };
  set_payload_max_length(limits.most_bytes);
  // By default two programs could share the port.
  set_socket_options([](socket_t listener) {
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  });
}

HttpServer::~HttpServer() { Stop(); }

absl::StatusOr<int> HttpServer::Bind(const std::string& host, int port, absl::string_view purpose) {
  absl::string_view name = host;
  if (absl::ConsumePrefix(&name, "[")) {
    absl::ConsumeSuffix(&name, "]");
  }
  errno = 0;
  const std::string address(name);
  const int bound = port == 0 ? bind_to_any_port(address) : bind_to_port(address, port) ? port : -1;
  if (bound <= 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", host, ":", port, " for ", purpose, ": ",
                     errno != 0 ? strerror(errno) : "is the address this machine's?"));
  }
  host_ = address;
  port_ = bound;
  purpose_ = std::string(purpose);
  return bound;
}

// The library closes its listener where accepting fails by anything but too many open files, such
// as want of memory for a socket.
void HttpServer::Listen() {
  listen_after_bind();
  while (!stopping_) {
    spdlog::error("{}:{} for {} accepts no connections any more; taking it again", host_, port_,
                  purpose_);
    for (int i = 0; i < kPausesBeforeRetry && !stopping_; ++i) {
      absl::SleepFor(kPause);
    }
    stop();  // else newer versions of the library do not bind again
    if (!stopping_ && bind_to_port(host_, port_)) {
      listen_after_bind();
    }
  }
  ended_ = true;
}

void HttpServer::Start() {
  thread_ = std::thread([this] { Listen(); });
}

void HttpServer::Stop() {
  stopping_ = true;
  if (!thread_.joinable()) {
    return;
  }
  while (!ended_) {
    stop();  // no effect while the port is being taken again
    absl::SleepFor(absl::Milliseconds(5));
  }
  thread_.join();
}

bool HttpServer::ClientLeft() {
  pollfd ended = {served_socket, POLLRDHUP, 0};
  return served_socket >= 0 && poll(&ended, 1, 0) > 0;
}

// The library's versions of Debian 12 and 13 differ in the parameters.
template <class Self, class Connection>
bool HttpServer::Process(Self* self, Connection* stream) {
  bool closed = false;
  std::string address;
  int port = 0;
  stream->get_remote_ip_and_port(address, port);
  const auto prepare = [stream](httplib::Request& request) {
    stream->EndHead();
    // Pictures are compressed already; and secrets beside text that others choose are not to be.
    request.headers.erase("Accept-Encoding");
    request.ranges.clear();
  };
  if constexpr (requires { self->process_request(*stream, true, closed, prepare); }) {
    return self->process_request(*stream, true, closed, prepare);
  } else {
    return self->process_request(*stream, address, port, "", 0, true, closed, prepare);
  }
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  bool processed = false;
  if (!one_too_many) {
    const auto serve = [&] {
      LimitedStream stream(socket, limits_, stopping_, crowd_);
      served_socket = socket;
      if (tls_ == nullptr || stream.Encrypt(tls_().get())) {
        processed = Process(this, &stream);
      }
      stream.Linger();
      return absl::OkStatus();
    };
    // The library catches what handlers throw, but not its own want of memory for a head or an
    // answer: that ends this connection alone.
    WithoutExceptions(serve).IgnoreError();
    served_socket = -1;
  }
  shutdown(socket, SHUT_RDWR);
  close(socket);
  return processed;
}

}  // namespace stylex
