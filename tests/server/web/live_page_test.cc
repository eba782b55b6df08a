// The live page's port in front of a real CallRunner, through raw HTTP.
#include "server/web/live_page.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "server/rpc/call_runner.h"
#include "server/rpc/forwarded_peer.h"
#include "stylex/v1/explanation.grpc.pb.h"
#include "tests/server/http/certificates.h"
#include "tests/server/http/http_client.h"
#include "tests/server/scheduling/fake_clock.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// Answers with what it was asked; the model "slow" waits until it is cancelled.
class EchoService : public v1::ExplanationService::CallbackService {
 public:
  explicit EchoService(CallRunner* runner) : runner_(*runner) {}

  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const v1::ClassifyRequest* request,
                                     v1::ClassifyResponse* response) override {
    return runner_.Unary<v1::ClassifyResponse>("Classify", context, *request, response, [=, this] {
      const std::string model = request->model();
      return UnaryWork<v1::ClassifyResponse>(Work<v1::ClassifyResponse>{
          .run = [=, this](const Cancellation& cancellation, v1::ClassifyResponse* out) {
            out->set_model(model);
            out->mutable_prediction()->set_label(
                std::string(model == "long" ? 2'000'000 : request->image().data().size(), 'x'));
            return model == "slow" ? Wait(cancellation) : absl::OkStatus();
          }});
    });
  }
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override {
    return runner_.Unary<v1::GetModelResponse>(
        "GetModel", context, *request, response, [=]() -> UnaryWork<v1::GetModelResponse> {
          return ModelNotFoundError(request->model(), {"leaves"});
        });
  }
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override {
    return runner_.Unary<v1::ListModelsResponse>("ListModels", context, *request, response, [=] {
      response->set_next_page_token(absl::StrCat(request->page_size(), request->page_token()));
      return UnaryWork<v1::ListModelsResponse>(Work<v1::ListModelsResponse>{
          .run = [](const Cancellation&, v1::ListModelsResponse*) { return absl::OkStatus(); },
          .effort = Effort::kCheap});
    });
  }
  grpc::ServerWriteReactor<v1::TraverseResponse>* Traverse(
      grpc::CallbackServerContext* context, const v1::TraverseRequest* request) override {
    return runner_.Stream<v1::TraverseResponse>("Traverse", context, *request, [=] {
      const int steps = request->steps();
      return StreamWork<v1::TraverseResponse>(Work<StreamSink<v1::TraverseResponse>>{
          .run = [=](const Cancellation&, StreamSink<v1::TraverseResponse>* sink) {
            for (int i = 0; i < steps; ++i) {
              v1::TraverseResponse frame;
              frame.set_step(i);
              sink->Write(std::move(frame));
            }
            return absl::OkStatus();
          }});
    });
  }

  std::atomic<int> waiting = 0, cancelled = 0;

 private:
  absl::Status Wait(const Cancellation& cancellation) {
    ++waiting;
    while (!cancellation.stopped()) {
      absl::SleepFor(absl::Milliseconds(2));
    }
    ++cancelled;
    return absl::CancelledError("");
  }

  CallRunner& runner_;
};

class PeerRecorder : public CallObserver {
 public:
  void OnFinished(const CallRecord& record) override {
    const MutexLock lock(&mutex_);
    peer_ = record.peer;
    request_id_ = record.request_id;
  }
  std::string peer() {
    const MutexLock lock(&mutex_);
    return peer_;
  }
  std::string request_id() {
    const MutexLock lock(&mutex_);
    return request_id_;
  }

 private:
  Mutex mutex_;
  std::string peer_, request_id_;
};

class LivePageTest : public ::testing::Test {
 protected:
  LivePageTest() : pool_({.workers = 4, .max_queue = 8}), memory_(30'000'000) {}
  ~LivePageTest() override {
    if (runner_ != nullptr) {
      runner_->AbandonAll();
    }
    page_.reset();
    if (grpc_ != nullptr) {
      grpc_->Shutdown();
    }
  }

  void Start(LivePage::Options options = {}, const std::string& tokens = "") {
    if (!tokens.empty()) {
      std::ofstream(folder_.path() + "/tokens") << tokens << "\n";
      tokens_ = AccessTokens::Open(folder_.path() + "/tokens", &Clock::Real()).value();
    }
    runner_ = std::make_unique<CallRunner>(
        CallRunner::Options{.max_message_bytes = 1'000'000,
                            .tokens = tokens_.get(),
                            .observers = {&peers_},
                            .requests = &memory_},
        CallRunner::Pools{.interactive = &pool_, .explanation = &pool_, .bulk = &pool_},
        &Clock::Real());
    service_ = std::make_unique<EchoService>(runner_.get());
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &grpc_port_);
    builder.RegisterService(service_.get());
    grpc_ = builder.BuildAndStart();
    options.max_message_bytes = 1'000'000;
    options.tokens = tokens_.get();
    options.requests = &memory_;
    options.grpc_address = "0.0.0.0:50051";
    page_ = LivePage::Open(options, grpc_->InProcessChannel({})).value();
  }

  std::string Host() const { return absl::StrCat("127.0.0.1:", page_->port()); }
  std::string Get(const std::string& path, const std::string& headers = "") const {
    return AnswerTo(page_->port(), absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", Host(), "\r\n",
                                                headers, "\r\n"));
  }
  std::string Head(const std::string& path, size_t length, const std::string& headers = "") const {
    return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: ", Host(), "\r\nOrigin: http://", Host(),
                        "\r\nContent-Type: application/json\r\nContent-Length: ", length, "\r\n",
                        headers, "\r\n");
  }
  std::string Post(const std::string& path, const std::string& body,
                   const std::string& headers = "") const {
    return AnswerTo(page_->port(), Head(path, body.size(), headers) + body);
  }
  static std::string BodyOf(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }
  static json JsonOf(const std::string& answer) { return json::parse(BodyOf(answer)); }
  // True once `counter` has reached `count`.
  static bool Reaches(const std::atomic<int>& counter, int count) {
    for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;) {
      if (counter >= count) {
        return true;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    return false;
  }

  TemporaryFolder folder_;
  FakeClock clock_;  // of TLS alone
  WorkerPool pool_;
  MemoryBudget memory_;
  PeerRecorder peers_;
  std::unique_ptr<AccessTokens> tokens_;
  std::unique_ptr<CallRunner> runner_;
  std::unique_ptr<EchoService> service_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<LivePage> page_;
  int grpc_port_ = 0;
};

std::string Between(const std::string& text, const std::string& open, const std::string& close) {
  const size_t begin = text.find(open) + open.size();
  return text.substr(begin, text.find(close, begin) - begin);
}

TEST_F(LivePageTest, ThePagesPolicyLetsInItsOwnScriptAndStyleAlone) {
  Start();
  const std::string answer = Get("/");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  const std::string policy = Between(answer, "Content-Security-Policy: ", "\r\n");
  EXPECT_THAT(policy, StartsWith("default-src 'none';"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, HasSubstr("form-action 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  for (const char* part : {"script", "style"}) {
    const std::string text =
        Between(answer, absl::StrCat("<", part, ">"), absl::StrCat("</", part, ">"));
    EXPECT_GT(text.size(), 1000u);
    EXPECT_THAT(policy, HasSubstr(absl::StrCat(part, "-src 'sha256-",
                                               absl::Base64Escape(Sha256Bytes(text)), "'")));
  }
  EXPECT_THAT(answer, HasSubstr("data-grpc=\"0.0.0.0:50051\""));
  EXPECT_THAT(answer, Not(HasSubstr("{{")));
  EXPECT_THAT(answer, Not(HasSubstr("http://www.")));
}

TEST_F(LivePageTest, EveryAnswerHasTheHeadersThatKeepOthersOut) {
  Start({}, "secret");
  for (const std::string& answer :
       {Get("/"), Get("/nowhere"), Get("/v1/models"), Post("/v1/models/a:classify", "{}"),
        AnswerTo(page_->port(), "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        AnswerTo(page_->port(), "nonsense\r\n\r\n")}) {
    for (const char* header :
         {"Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff",
          "Referrer-Policy: no-referrer", "Cache-Control: no-store", "X-Frame-Options: DENY",
          "Cross-Origin-Resource-Policy: same-origin"}) {
      EXPECT_THAT(answer, HasSubstr(header));
    }
    EXPECT_THAT(answer, Not(HasSubstr("Access-Control")));
    EXPECT_THAT(answer, Not(HasSubstr("Set-Cookie")));
  }
}

TEST_F(LivePageTest, AnotherHostOrOriginGetsNoAnswer) {
  Start();
  const std::string elsewhere =
      AnswerTo(page_->port(), "GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_THAT(elsewhere, StartsWith("HTTP/1.1 421 "));
  EXPECT_EQ(JsonOf(elsewhere)["code"], 9);
  const std::string foreign =
      AnswerTo(page_->port(), absl::StrCat("POST /v1/models/a:classify HTTP/1.1\r\nHost: ", Host(),
                                           "\r\nOrigin: http://evil.example\r\nContent-Type: "
                                           "application/json\r\nContent-Length: 2\r\n\r\n{}"));
  EXPECT_THAT(foreign, StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(JsonOf(foreign)["code"], 7);
  const std::string preflight =
      AnswerTo(page_->port(), absl::StrCat("OPTIONS /v1/models HTTP/1.1\r\nHost: ", Host(),
                                           "\r\nOrigin: http://evil.example\r\n\r\n"));
  EXPECT_THAT(preflight, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(preflight, HasSubstr("Allow: GET, HEAD, POST\r\n"));
  EXPECT_EQ(peers_.peer(), "") << "no call was made";
}

TEST_F(LivePageTest, CallsAreThoseOfTheService) {
  Start();
  const std::string answer = Post("/v1/models/leaves/3:classify",
                                  R"({"image": {"data": "AAECAw=="}})", "X-Request-Id: my-id\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(answer, HasSubstr("X-Request-Id: my-id\r\n"));
  EXPECT_EQ(JsonOf(answer),
            json::parse(R"({"model": "leaves/3", "prediction": {"label": "xxxx"}})"));
  EXPECT_EQ(peers_.request_id(), "my-id");
  EXPECT_THAT(peers_.peer(), MatchesRegex("ipv4:127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_EQ(JsonOf(Get("/v1/models?pageSize=7&pageToken=x"))["nextPageToken"], "7x");
  EXPECT_EQ(JsonOf(Get("/v1/models"))["nextPageToken"], "0");
}

TEST_F(LivePageTest, AStreamIsAList) {
  Start();
  const json frames = JsonOf(Post("/v1/models/a:traverse", R"({"steps": 3})"));
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[2]["step"], 2);
  EXPECT_EQ(JsonOf(Post("/v1/models/a:traverse", "{}")), json::array());
}

TEST_F(LivePageTest, ErrorsAreStatusesInJson) {
  Start();
  const std::string unknown = Get("/v1/models/nobody");
  EXPECT_THAT(unknown, StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(JsonOf(unknown)["code"], 5);
  EXPECT_EQ(JsonOf(unknown)["details"][0]["reason"], "MODEL_NOT_FOUND");
  for (const char* path : {"/favicon.ico", "/v1", "/v1/other", "/v2/models", "/index.html",
                           "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"}) {
    const std::string nowhere = Get(path);
    EXPECT_THAT(nowhere, StartsWith("HTTP/1.1 404 ")) << path;
    EXPECT_EQ(JsonOf(nowhere)["code"], 5) << path;
  }
  EXPECT_THAT(Post("/v1/models/a:nothing", "{}"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Post("/", "{}"), StartsWith("HTTP/1.1 404 "));
  for (const std::string& body : {std::string("{\"a\": 1}"), std::string("\xff\xfe{"),
                                  std::string("{\"image\": {\"data\": \"\xff\"}}")}) {
    const std::string bad = Post("/v1/models/a:classify", body);
    EXPECT_THAT(bad, StartsWith("HTTP/1.1 400 "));
    EXPECT_EQ(JsonOf(bad)["code"], 3);
    EXPECT_EQ(JsonOf(bad)["details"][1]["fieldViolations"][0]["field"], "body");
  }
  const std::string nonsense = AnswerTo(page_->port(), "nonsense\r\n\r\n");
  EXPECT_THAT(nonsense, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(JsonOf(nonsense)["code"], 3);
}

TEST_F(LivePageTest, WithoutATokenThereIsNoAnswer) {
  Start({}, "secret");
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 200 ")) << "the page asks for it";
  // No text for a header: newer versions of the library refuse it themselves.
  const std::string no_text = Get("/v1/models", "Authorization: Bearer \x01\r\n");
  EXPECT_THAT(no_text, testing::AnyOf(StartsWith("HTTP/1.1 401 "), StartsWith("HTTP/1.1 400 ")));
  for (const char* header : {"", "Authorization: Bearer wrong\r\n", "Authorization: secret\r\n",
                             "Authorization: Bearer secret\r\nAuthorization: Bearer secret\r\n"}) {
    for (const std::string& answer :
         {Get("/v1/models", header), Post("/v1/models/a:classify", "{}", header)}) {
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 ")) << header;
      EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Bearer\r\n"));
      EXPECT_EQ(JsonOf(answer)["code"], 16);
    }
  }
  // Before the body is read, let alone kept.
  const std::string early = AnswerTo(page_->port(), Head("/v1/models/a:classify", 900'000));
  EXPECT_THAT(early, StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(peers_.peer(), "");
  const std::string good = Get("/v1/models", "Authorization: Bearer secret\r\n");
  EXPECT_THAT(good, StartsWith("HTTP/1.1 200 "));
}

TEST_F(LivePageTest, BytesThatAreNoMetadataEndNothing) {
  Start();
  for (const std::string& value :
       {std::string("\x01"), std::string("\xc3\xa4"), std::string(6000, 'x')}) {
    for (const char* key : {"Authorization", "X-Request-Id", "Traceparent"}) {
      // Or refused by the library itself, if it is a newer one.
      EXPECT_THAT(Get("/v1/models", absl::StrCat(key, ": ", value, "\r\n")),
                  testing::AnyOf(StartsWith("HTTP/1.1 200 "), StartsWith("HTTP/1.1 400 ")))
          << key;
    }
  }
}

TEST_F(LivePageTest, ALargeBodyIsRefusedUnread) {
  Start();
  const std::string large = Post("/v1/models/a:classify", std::string(1'500'000, ' '));
  EXPECT_THAT(large, StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(JsonOf(large)["code"], 8);
  // What passes here, but not the service's own limit.
  const std::string data = absl::Base64Escape(std::string(1'020'000, 'x'));
  const std::string over =
      Post("/v1/models/a:classify", absl::StrCat(R"({"image": {"data": ")", data, "\"}}"));
  EXPECT_THAT(over, StartsWith("HTTP/1.1 429 "));
  EXPECT_EQ(JsonOf(over)["details"][0]["reason"], "MESSAGE_TOO_LARGE");
  const std::string fits = absl::Base64Escape(std::string(900'000, 'x'));
  EXPECT_THAT(Post("/v1/models/a:classify", absl::StrCat(R"({"image": {"data": ")", fits, "\"}}")),
              StartsWith("HTTP/1.1 200 "));
}

TEST_F(LivePageTest, ALargeAnswerIsRefusedInWords) {
  Start();
  const std::string answer = Post("/v1/models/long:classify", "{}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(std::string(JsonOf(answer)["message"]), HasSubstr("more than 1000000 bytes"));
}

TEST_F(LivePageTest, WhatIsAnnouncedAndNotSentTakesNoMemory) {
  Start();
  const int silent = ConnectTo(page_->port());
  SendText(silent, Head("/v1/models/a:classify", 1'000'000));
  SendText(silent, std::string(1000, ' '));
  for (const absl::Time end = absl::Now() + absl::Seconds(10);
       memory_.used() == 0 && absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_GT(memory_.used(), 0);
  EXPECT_LT(memory_.used(), 600'000);
  close(silent);
}

TEST_F(LivePageTest, WhatIsReadComesOutOfTheMemoryOfRequests) {
  Start();
  const std::optional<MemoryBudget::Share> others = memory_.TryTake(29'500'000);
  for (const char* path : {"/v1/models/a:classify", "/v1/models/a%0A:classify"}) {
    const std::string answer = Post(path, std::string(400'000, ' '));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 ")) << path;
    EXPECT_THAT(answer, HasSubstr("Retry-After: 1\r\n"));
    EXPECT_EQ(JsonOf(answer)["details"][0]["reason"], "MEMORY_FULL");
  }
}

TEST_F(LivePageTest, SlowBytesAreCut) {
  Start({.limits = {.threads = 2, .network = absl::Seconds(2)}});
  const int slow = ConnectTo(page_->port());
  SendText(slow, Head("/v1/models/a:classify", 1000));
  std::thread trickle([slow] {
    while (send(slow, " ", 1, MSG_NOSIGNAL) == 1) {
      absl::SleepFor(absl::Milliseconds(20));
    }
  });
  const absl::Time start = absl::Now();
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 200 ")) << "others are served meanwhile";
  const std::string end = ReadToEnd(slow);
  EXPECT_THAT(end, testing::AnyOf("", StartsWith("HTTP/1.1 400 ")));
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  trickle.join();
  close(slow);
  EXPECT_EQ(peers_.peer(), "");
}

TEST_F(LivePageTest, ConnectionsAreBounded) {
  Start({.limits = {.threads = 2,
                    .most_waiting = 3,
                    .network = absl::Seconds(20),
                    .when_others_wait = absl::Seconds(20)}});
  std::vector<int> silent;
  for (int i = 0; i < 5; ++i) {
    silent.push_back(ConnectTo(page_->port()));
    absl::SleepFor(absl::Milliseconds(50));
  }
  const absl::Time start = absl::Now();
  EXPECT_EQ(Get("/"), "") << "one too many is closed at once";
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  for (const int socket : silent) {
    close(socket);
  }
  std::string answer;
  while (answer.empty() && absl::Now() < start + absl::Seconds(10)) {
    answer = Get("/");
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

TEST_F(LivePageTest, WhoLeavesCancelsTheCall) {
  Start();
  const int client = ConnectTo(page_->port());
  SendText(client, Head("/v1/models/slow:classify", 2) + "{}");
  ASSERT_TRUE(Reaches(service_->waiting, 1));
  close(client);
  EXPECT_TRUE(Reaches(service_->cancelled, 1));
}

TEST_F(LivePageTest, ACallHasTheServersDeadline) {
  Start({.deadline = absl::Milliseconds(300)});
  const std::string answer = Post("/v1/models/slow:classify", "{}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(JsonOf(answer)["code"], 4);
}

TEST_F(LivePageTest, ACallThatRunsAtTheEndIsAnswered) {
  Start();
  const int client = ConnectTo(page_->port());
  SendText(client, Head("/v1/models/slow:classify", 2) + "{}");
  ASSERT_TRUE(Reaches(service_->waiting, 1));
  std::thread end([this] { page_.reset(); });
  absl::SleepFor(absl::Milliseconds(100));
  runner_->AbandonAll();
  EXPECT_THAT(ReadToEnd(client), StartsWith("HTTP/1.1 503 "));
  end.join();
  close(client);
}

// Only this process itself says for whom it calls.
TEST_F(LivePageTest, AnAddressInAClientsMetadataIsNotBelieved) {
  Start();
  const auto stub = v1::ExplanationService::NewStub(grpc::CreateChannel(
      absl::StrCat("127.0.0.1:", grpc_port_), grpc::InsecureChannelCredentials()));
  for (const std::string& value : {std::string("ipv4:9.9.9.9:9"), std::string(" ipv4:9.9.9.9:9"),
                                   absl::StrCat(std::string(64, '0'), " ipv4:9.9.9.9:9")}) {
    grpc::ClientContext context;
    context.AddMetadata(ForwardedPeer("").first, value);
    v1::ClassifyRequest request;
    v1::ClassifyResponse response;
    ASSERT_TRUE(stub->Classify(&context, request, &response).ok());
    EXPECT_THAT(peers_.peer(), StartsWith("ipv4:127.0.0.1:")) << value;
  }
}

TEST_F(LivePageTest, SpeaksTlsWithTheServersCertificate) {
  if (!MakeCertificate(folder_.path(), "server") || !MakeCertificate(folder_.path(), "next")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  const TlsFiles files = {folder_ / "server.crt", folder_ / "server.key", ""};
  Start({.tls = TlsSource::Open(files, &clock_).value()});
  const auto status = [this] {
    httplib::SSLClient client("localhost", page_->port());
    client.set_ca_cert_path((folder_ / "server.crt").c_str());
    client.enable_server_certificate_verification(true);
    const auto answer = client.Get("/");
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(status(), 200);
  EXPECT_THAT(Get("/"), Not(HasSubstr("HTTP/1.1 200"))) << "in plain text";
  for (const char* kind : {".crt", ".key"}) {
    std::filesystem::rename(folder_ / (std::string("next") + kind),
                            folder_ / (std::string("server") + kind));
  }
  EXPECT_EQ(status(), 0) << "the old certificate is still in force, and not trusted any more";
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(status(), 200);
}

TEST_F(LivePageTest, SaysWhereItCannotListen) {
  Start();
  const absl::Status taken =
      LivePage::Open({.port = page_->port()}, grpc_->InProcessChannel({})).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(taken.message()), HasSubstr("for the live page"));
}

}  // namespace
}  // namespace stylex
