#include "models/checkpoint/json_message.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/models/checkpoint/test_files.h"
#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;
using testing::Not;

TEST(JsonMessageTest, ComesBackFromDisk) {
  v1::ModelConfig config = ValidConfig();
  config.set_description("a \"boot\", \xc3\xa9t\xc3\xa9\n");
  config.mutable_provenance()->set_seed(~uint64_t{0});
  (*config.mutable_metrics())["agreement"] = 0.1;
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteJsonMessage(config, folder / "model.json").ok());
  v1::ModelConfig read;
  read.set_name("what was there before");
  ASSERT_TRUE(ReadJsonMessage(folder / "model.json", &read).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(read, config)) << read.DebugString();
}

TEST(JsonMessageTest, IsTheStandardMappingIndented) {
  v1::ModelConfig config;
  config.set_image_channels(3);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_LOGITS);
  EXPECT_EQ(ToJson(config).value(),
            "{\n \"imageChannels\": 3,\n \"generator\": {\n"
            "  \"conditioning\": \"CONDITIONING_LOGITS\"\n }\n}\n");
}

TEST(JsonMessageTest, BothSpellingsOfFieldsAreRead) {
  for (const std::string json : {"{\"imageChannels\": 3}", "{\"image_channels\": 3}"}) {
    v1::ModelConfig config;
    ASSERT_TRUE(FromJson(json, "x", &config).ok()) << json;
    EXPECT_EQ(config.image_channels(), 3);
  }
}

TEST(JsonMessageTest, ATypoIsNamedWithItsFile) {
  const TemporaryFolder folder;
  PutFile(folder / "model.json", "{\"generator\": {\"latentSise\": 12}}");
  v1::ModelConfig config;
  const absl::Status status = ReadJsonMessage(folder / "model.json", &config);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("latentSise"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder / "model.json"));
}

TEST(JsonMessageTest, ErrorsAreOneLineWithoutACaret) {
  v1::ModelConfig config;
  const absl::Status status = FromJson("{\"labels\": [\"a\",\n ]]}", "model.json", &config);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), Not(HasSubstr("\n")));
  EXPECT_THAT(status.message(), Not(HasSubstr("^")));
  EXPECT_THAT(status.message(), HasSubstr("near: "));
}

TEST(JsonMessageTest, WhatIsNotTheMessageIsRefused) {
  for (const std::string json :
       {"", "[]", "1", "{\"resolution\": \"wide\"}", "{\"resolution\": 1.5}",
        "{\"resolution\": 4294967296}", "{\"resolution\": 16", "{\"resolution\": 16} {}",
        "{\"generator\": {\"conditioning\": \"CONDITIONING_X\"}}"}) {
    v1::ModelConfig config;
    const absl::Status status = FromJson(json, "disk/model.json", &config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
    EXPECT_THAT(std::string(status.message()), HasSubstr("disk/model.json")) << json;
  }
}

TEST(JsonMessageTest, AnEndlessFileIsNotRead) {
  const TemporaryFolder folder;
  PutFile(folder / "model.json", "{}");
  std::filesystem::resize_file(folder / "model.json", kMaxJsonBytes + 1);  // a hole: takes no disk
  v1::ModelConfig config;
  EXPECT_EQ(ReadJsonMessage(folder / "model.json", &config).code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace stylex
