#include "server/web/json_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

std::string MethodAt(const std::string& http_method, const std::string& path) {
  const std::optional<JsonRoute> route = RouteOf(http_method, path);
  return route.has_value() ? absl::StrCat(route->method->name(), " ", route->model) : "none";
}

TEST(JsonApiTest, PathsAreMethodsOfModels) {
  EXPECT_EQ(MethodAt("GET", "/v1/models"), "ListModels ");
  EXPECT_EQ(MethodAt("GET", "/v1/models/leaves"), "GetModel leaves");
  EXPECT_EQ(MethodAt("GET", "/v1/models/leaves/2"), "GetModel leaves/2");
  EXPECT_EQ(MethodAt("POST", "/v1/models/leaves:classify"), "Classify leaves");
  EXPECT_EQ(MethodAt("POST", "/v1/models/leaves/2:findAttributes"), "FindAttributes leaves/2");
  for (const char* verb : {"encode", "reconstruct", "counterfactual", "traverse"}) {
    EXPECT_NE(MethodAt("POST", absl::StrCat("/v1/models/a:", verb)), "none") << verb;
  }
  for (const char* path : {"/", "/v1", "/v1/model", "/v1/modelsx", "/v2/models"}) {
    EXPECT_EQ(MethodAt("GET", path), "none") << path;
  }
  for (const char* path : {"/v1/models", "/v1/models/a", "/v1/models/a:", "/v1/models/a:getModel",
                           "/v1/models/a:Classify", "/v1/modelsclassify"}) {
    EXPECT_EQ(MethodAt("POST", path), "none") << path;
  }
}

TEST(JsonApiTest, ARequestIsReadAndGetsThePathsModel) {
  const JsonRoute route = *RouteOf("POST", "/v1/models/leaves:counterfactual");
  const auto message = ReadRequest(
      route, R"({"image": {"data": "AAEC"}, "targetClass": {"label": "scab"}, "local": true})");
  ASSERT_TRUE(message.ok()) << message.status();
  const auto& request = dynamic_cast<const v1::CounterfactualRequest&>(**message);
  EXPECT_EQ(request.model(), "leaves");
  EXPECT_EQ(request.image().data(), std::string("\0\1\2", 3));
  EXPECT_EQ(request.target_class().label(), "scab");
  EXPECT_TRUE(request.local());
  EXPECT_TRUE(ReadRequest(route, R"({"model": "leaves"})").ok());
}

TEST(JsonApiTest, WhatIsNoRequestIsSaid) {
  const JsonRoute route = *RouteOf("POST", "/v1/models/leaves:classify");
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"), std::string("{} {}"),
        std::string(R"({"imgae": {}})"), std::string(R"({"image": {"data": 5}})"),
        std::string(R"({"image": {"data": "%%%"}})"), std::string("\xff\xfe"),
        std::string(100'000, '['), absl::StrCat(R"({"image":)", std::string(50'000, '{'))}) {
    const absl::Status status = ReadRequest(route, text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 30);
    EXPECT_THAT(std::string(status.message()), HasSubstr("body: is no ClassifyRequest in JSON"));
  }
  const absl::Status other = ReadRequest(route, R"({"model": "fashion"})").status();
  EXPECT_THAT(std::string(other.message()), HasSubstr("model: 'fashion' is not the path's"));
}

}  // namespace
}  // namespace stylex
