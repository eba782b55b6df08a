// The live page's JSON API of a running server, beside its gRPC port.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/server/http/http_client.h"

namespace stylex {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class WebTest : public ::testing::Test {
 protected:
  void Start(std::vector<std::string> flags) {
    WriteTinyCheckpoint(folder_.path(), {});
    flags.insert(flags.end(), {"--web-port", "0"});
    server_ = std::make_unique<ServerProcess>(folder_.path(), flags);
    const std::string url = server_->address("web");
    ASSERT_THAT(url, StartsWith("http://127.0.0.1:"));
    host_ = url.substr(7);
    port_ = std::stoi(url.substr(url.rfind(':') + 1));
    server_->AwaitLoaded();
  }
  std::string Post(const std::string& verb, const std::string& body,
                   const std::string& headers = "") const {
    return AnswerTo(port_, absl::StrCat("POST /v1/models/tiny:", verb, " HTTP/1.1\r\nHost: ", host_,
                                        "\r\nOrigin: http://", host_,
                                        "\r\nContent-Type: application/json\r\nContent-Length: ",
                                        body.size(), "\r\n", headers, "\r\n", body));
  }
  static json JsonOf(const std::string& answer) {
    return json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
  }

  TemporaryFolder folder_, files_;
  std::unique_ptr<ServerProcess> server_;
  std::string host_;
  int port_ = 0;
};

TEST_F(WebTest, JsonSaysWhatGrpcSays) {
  Start({});
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(20, 16, 3, 40));
  request.mutable_target_class()->set_label("bright");
  grpc::ClientContext context;
  v1::CounterfactualResponse answer;
  ASSERT_TRUE(server_->stub().Counterfactual(&context, request, &answer).ok());
  const std::string body =
      absl::StrCat(R"({"image": {"data": ")", absl::Base64Escape(request.image().data()),
                   R"("}, "targetClass": {"label": "bright"}})");
  const json told = JsonOf(Post("counterfactual", body, "X-Request-Id: of-a-page\r\n"));
  EXPECT_EQ(told["targetLabel"], "bright");
  EXPECT_EQ(told["counterfactual"]["data"], absl::Base64Escape(answer.counterfactual().data()));
  EXPECT_EQ(told.value("flipped", false), answer.flipped());
  EXPECT_THAT(server_->AwaitLogLine("of-a-page"), HasSubstr("ipv4:127.0.0.1:"));
}

TEST_F(WebTest, FaultsOfPicturesAreSaid) {
  Start({});
  const std::string answer = Post("classify", R"({"image": {"data": "bm8gcGljdHVyZQ=="}})");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(JsonOf(answer)["details"][1]["fieldViolations"][0]["field"], "image.data");
}

TEST_F(WebTest, TheTokensAreTheServersOwn) {
  std::ofstream(files_ / "tokens") << "secret\n";
  Start({"--token-file", files_ / "tokens"});
  EXPECT_THAT(Post("classify", "{}"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Post("classify", "{}", "Authorization: Bearer secret\r\n"),
              StartsWith("HTTP/1.1 400 "))
      << "there is no image";
}

TEST_F(WebTest, AServerThatIsToEndStillAnswersForAWhileAndEndsWell) {
  Start({"--drain-delay", "2"});
  const std::string body = absl::StrCat(R"({"image": {"data": ")",
                                        absl::Base64Escape(PngPicture(16, 16, 3, 40)), R"("}})");
  const int silent = ConnectTo(port_);  // does not hold it up
  server_->Signal(SIGTERM);
  EXPECT_THAT(Post("classify", body), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(server_->Wait(), 0);
  close(silent);
}

}  // namespace
}  // namespace stylex
