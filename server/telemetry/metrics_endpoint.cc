#include "server/telemetry/metrics_endpoint.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace stylex {
namespace {

constexpr int kBacklog = 16;
constexpr size_t kMaxRequestBytes = 8192;
// For reading a request, and again for writing its answer.
constexpr absl::Duration kPatience = absl::Seconds(1);

int PortOf(int listener) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  char port[NI_MAXSERV] = "";
  getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, port, sizeof(port),
              NI_NUMERICSERV);
  return std::atoi(port);
}

// Returns a listening socket, or -1 and sets errno.
int Bind(const addrinfo& address) {
  const int listener = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (listener >= 0 && bind(listener, address.ai_addr, address.ai_addrlen) == 0 &&
      listen(listener, kBacklog) == 0) {
    return listener;
  }
  close(listener);
  return -1;
}

// Whether `client` is ready for `events` before the deadline.
bool AwaitReady(int client, short events, absl::Time deadline) {
  pollfd ready = {client, events, 0};
  const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
  return poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(left))) > 0;
}

// The head of a request; empty if it has not been received in time.
std::string ReadHead(int client) {
  const absl::Time deadline = absl::Now() + kPatience;
  std::string head;
  char buffer[1024];
  while (head.size() < kMaxRequestBytes && !absl::StrContains(head, "\r\n\r\n")) {
    const ssize_t count = AwaitReady(client, POLLIN, deadline)
                              ? recv(client, buffer, sizeof(buffer), MSG_DONTWAIT)
                              : 0;
    if (count <= 0) {
      return "";
    }
    head.append(buffer, static_cast<size_t>(count));
  }
  return head;
}

// As much as the client takes in time.
void WriteAll(int client, const std::string& text) {
  const absl::Time deadline = absl::Now() + kPatience;
  size_t written = 0;
  while (written < text.size() && AwaitReady(client, POLLOUT, deadline)) {
    const ssize_t count =
        send(client, text.data() + written, text.size() - written, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) {
      return;
    }
    written += static_cast<size_t>(count);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Open(
    const std::string& host, int port, std::function<std::string()> text) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  const int unknown = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &addresses);
  const auto free_addresses = absl::MakeCleanup([&] {
    if (addresses != nullptr) {
      freeaddrinfo(addresses);
    }
  });
  const int listener = unknown != 0 ? -1 : Bind(*addresses);
  if (listener < 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", host, ":", port,
                     " for metrics: ", unknown != 0 ? gai_strerror(unknown) : strerror(errno)));
  }
  return std::unique_ptr<MetricsEndpoint>(
      new MetricsEndpoint(listener, PortOf(listener), std::move(text)));
}

MetricsEndpoint::MetricsEndpoint(int listener, int port, std::function<std::string()> text)
    : listener_(listener), port_(port), text_(std::move(text)), stop_{-1, -1} {
  if (pipe2(stop_, O_CLOEXEC) == 0) {
    thread_ = std::thread([this] { Listen(); });
  }
}

MetricsEndpoint::~MetricsEndpoint() {
  close(stop_[1]);
  if (thread_.joinable()) {
    thread_.join();
  }
  close(stop_[0]);
  close(listener_);
}

void MetricsEndpoint::Listen() const {
  while (true) {
    pollfd ready[] = {{listener_, POLLIN, 0}, {stop_[0], 0, 0}};
    if (poll(ready, 2, -1) < 0 && errno != EINTR) {
      return;
    }
    if (ready[1].revents != 0) {
      return;
    }
    const int client =
        ready[0].revents != 0 ? accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC) : -1;
    if (client >= 0) {
      Answer(client);
      close(client);
    }
  }
}

void MetricsEndpoint::Answer(int client) const {
  const std::string head = ReadHead(client);
  const bool found =
      absl::StartsWith(head, "GET /metrics ") || absl::StartsWith(head, "GET /metrics?");
  const std::string body = found ? text_() : "only GET /metrics is answered here\n";
  WriteAll(client, absl::StrCat("HTTP/1.1 ", found ? "200 OK" : "404 Not Found",
                                "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8"
                                "\r\nContent-Length: ",
                                body.size(), "\r\nConnection: close\r\n\r\n", body));
}

}  // namespace stylex
