#include "server/web/http_errors.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/rpc/errors.h"

namespace stylex {
namespace {

using nlohmann::json;

// https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
TEST(HttpErrorsTest, CodesAreThoseOfGoogleRpcCode) {
  const std::vector<int> codes = {200, 499, 500, 400, 504, 404, 409, 403, 429,
                                  400, 409, 400, 501, 500, 503, 500, 401};
  for (int code = 0; code < static_cast<int>(codes.size()); ++code) {
    EXPECT_EQ(HttpCodeOf(static_cast<grpc::StatusCode>(code)), codes[static_cast<size_t>(code)])
        << code;
  }
}

TEST(HttpErrorsTest, AStatusKeepsItsDetails) {
  const std::vector<Fault> faults = {{"image.data", "is a text"}, {"edits[0].index", "is \"9\""}};
  const json told = json::parse(StatusJson(ToGrpcStatus(InvalidRequestError(faults), "id")));
  EXPECT_EQ(told["code"], 3);
  EXPECT_EQ(told["message"], "image.data: is a text; edits[0].index: is \"9\"");
  ASSERT_EQ(told["details"].size(), 2u);
  EXPECT_EQ(told["details"][0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_EQ(told["details"][0]["reason"], "INVALID_REQUEST");
  EXPECT_EQ(told["details"][1]["fieldViolations"][1]["field"], "edits[0].index");
  const json retry = json::parse(StatusJson(ToGrpcStatus(QueueFullError(), "id")));
  EXPECT_EQ(retry["details"][1]["retryDelay"], "1s");
}

TEST(HttpErrorsTest, DetailsThatAreNoneAreLeftOut) {
  for (const char* details : {"", "garbage", "\x1a\x05\x0a\x03xyz"}) {
    const json told =
        json::parse(StatusJson({grpc::StatusCode::NOT_FOUND, "no such \n thing", details}));
    EXPECT_EQ(told["code"], 5);
    EXPECT_EQ(told["message"], "no such \n thing");
  }
}

}  // namespace
}  // namespace stylex
