#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/server/http/http_client.h"

namespace stylex {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Answers GET /wait when it is told to, and refuses every POST unread.
class HttpServerTest : public ::testing::Test {
 protected:
  explicit HttpServerTest(const HttpLimits& limits = {.threads = 2,
                                                      .network = absl::Seconds(2),
                                                      .most_bytes = 3'000'000})
      : server_(limits) {
    server_.Get("/address", [](const httplib::Request& request, httplib::Response& answer) {
      answer.set_content(absl::StrCat(request.remote_addr, " ", request.remote_port), "text/plain");
    });
    server_.Get("/wait", [this](const httplib::Request&, httplib::Response& answer) {
      entered_.set_value();
      while (!HttpServer::ClientLeft() && !go_on_) {
        absl::SleepFor(absl::Milliseconds(5));
      }
      left_ = HttpServer::ClientLeft();
      answer.set_content("waited", "text/plain");
      ended_.set_value();
    });
    server_.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& answer) {
      if (request.method != "POST") {
        return httplib::Server::HandlerResponse::Unhandled;
      }
      answer.status = 403;
      answer.set_content("no", "text/plain");
      return httplib::Server::HandlerResponse::Handled;
    });
    // The library calls it where it catches nothing.
    server_.set_error_handler(
        httplib::Server::HandlerWithResponse([this](const httplib::Request&, httplib::Response&) {
          if (throws_) {
            throw std::bad_alloc();
          }
          return httplib::Server::HandlerResponse::Unhandled;
        }));
    port_ = server_.Bind("127.0.0.1", 0, "a test").value();
    server_.Start();
  }

  std::promise<void> entered_, ended_;
  std::atomic<bool> go_on_ = false, left_ = false, throws_ = false;
  HttpServer server_;
  int port_ = 0;
};

TEST_F(HttpServerTest, TellsTheClientsAddress) {
  EXPECT_THAT(AnswerTo(port_, "GET /address HTTP/1.1\r\n\r\n"), HasSubstr("\r\n\r\n127.0.0.1 "));
}

TEST_F(HttpServerTest, ARefusalIsHeardThoughTheBodyIsStillBeingSent) {
  const std::string answer =
      AnswerTo(port_, absl::StrCat("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n",
                                   std::string(1'000'000, 'x')));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer, EndsWith("no"));
}

// The listening socket of a port, which this process has open.
int ListenerOf(int port) {
  for (int candidate = 0; candidate < 1024; ++candidate) {
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    int listens = 0;
    socklen_t size_of_option = sizeof(listens);
    if (getsockname(candidate, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
        ntohs(address.sin_port) == port &&
        getsockopt(candidate, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size_of_option) == 0 &&
        listens == 1) {
      return candidate;
    }
  }
  return -1;
}

TEST_F(HttpServerTest, APortThatCannotAcceptIsTakenAgain) {
  const int listener = ListenerOf(port_);
  ASSERT_GE(listener, 0);
  shutdown(listener, SHUT_RDWR);  // accept fails with EINVAL
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(100));
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      SendText(client, "GET /address HTTP/1.1\r\n\r\n");
      answer = ReadToEnd(client);
    }
    close(client);
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, APortThatIsBeingTakenAgainStops) {
  shutdown(ListenerOf(port_), SHUT_RDWR);
  absl::SleepFor(absl::Milliseconds(100));
  server_.Stop();
}

TEST_F(HttpServerTest, AHandlerSeesThatItsClientHasLeft) {
  const int client = ConnectTo(port_);
  SendText(client, "GET /wait HTTP/1.1\r\n\r\n");
  entered_.get_future().wait();
  close(client);
  ended_.get_future().wait();
  EXPECT_TRUE(left_);
}

TEST_F(HttpServerTest, TimeInAHandlerIsNotTheClients) {
  const int client = ConnectTo(port_);
  SendText(client, "GET /wait HTTP/1.1\r\n\r\n");
  absl::SleepFor(absl::Milliseconds(2500));  // more than it may take to send
  go_on_ = true;
  EXPECT_THAT(ReadToEnd(client), EndsWith("waited"));
  EXPECT_FALSE(left_);
  close(client);
}

TEST_F(HttpServerTest, StoppingLetsARunningHandlerAnswer) {
  const int silent = ConnectTo(port_);  // costs no time
  const int client = ConnectTo(port_);
  SendText(client, "GET /wait HTTP/1.1\r\n\r\n");
  entered_.get_future().wait();
  std::thread stop([&] { server_.Stop(); });
  absl::SleepFor(absl::Milliseconds(300));
  go_on_ = true;
  EXPECT_THAT(ReadToEnd(client), EndsWith("waited"));
  stop.join();
  close(client);
  close(silent);
}

TEST_F(HttpServerTest, AHeadWithoutEndIsCut) {
  const int client = ConnectTo(port_);
  const std::string header = absl::StrCat("X: ", std::string(1000, 'x'), "\r\n");
  std::string head = "GET /address HTTP/1.1\r\n";
  while (head.size() < 3'500'000) {
    head += header;
  }
  const absl::Time start = absl::Now();
  (void)send(client, head.data(), head.size(), MSG_NOSIGNAL);  // it may be cut while it is sent
  (void)ReadToEnd(client);
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  close(client);
  EXPECT_THAT(AnswerTo(port_, "GET /address HTTP/1.1\r\n\r\n"), HasSubstr("127.0.0.1"));
}

// The library counts the bytes of a header, but not the headers.
TEST_F(HttpServerTest, ManyShortHeadersAreNotKept) {
  const auto of_headers = [this](int count) {
    std::string head = "GET /address HTTP/1.1\r\n";
    for (int i = 0; i < count; ++i) {
      head += "a:b\r\n";
    }
    return AnswerTo(port_, head + "\r\n");
  };
  EXPECT_THAT(of_headers(90), StartsWith("HTTP/1.1 200"));  // newer libraries read a hundred
  EXPECT_THAT(of_headers(100'000), StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpServerTest, WhatIsThrownBesideAHandlerEndsOneConnectionAlone) {
  throws_ = true;
  EXPECT_EQ(AnswerTo(port_, "GET /nowhere HTTP/1.1\r\n\r\n"), "");
  throws_ = false;
  EXPECT_THAT(AnswerTo(port_, "GET /nowhere HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404"));
}

TEST_F(HttpServerTest, NothingIsCompressed) {
  EXPECT_THAT(AnswerTo(port_, "GET /address HTTP/1.1\r\nAccept-Encoding: gzip, br\r\n\r\n"),
              testing::AllOf(HasSubstr("127.0.0.1"), testing::Not(HasSubstr("Content-Encoding"))));
}

}  // namespace
}  // namespace stylex
