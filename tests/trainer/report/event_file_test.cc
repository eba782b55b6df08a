#include "trainer/report/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "image/codec.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// RFC 3720, B.4, and the check value of the catalogue of CRCs.
TEST(Crc32cTest, HasTheValuesOfTheStandard) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string increasing;
  for (int i = 0; i < 32; ++i) {
    increasing.push_back(static_cast<char>(i));
  }
  EXPECT_EQ(Crc32c(increasing), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(std::string(increasing.rbegin(), increasing.rend())), 0x113FDB5Cu);
}

TEST(Crc32cTest, TheMaskRotatesAndAdds) {
  // 0xE3069283 rotated right by 15 bits is 0x2507C60D.
  EXPECT_EQ(MaskedCrc32c("123456789"), 0x2507C60Du + 0xA282EAD8u);
}

TEST(EventRecordTest, TheFirstRecordOfEveryFileOfTensorFlow) {
  // What TensorFlow itself writes for an event of 24 bytes begins with these bytes.
  const std::string record = EventRecord(std::string(24, 'x'));
  EXPECT_EQ(record.size(), 8u + 4 + 24 + 4);
  EXPECT_EQ(record.substr(0, 12), std::string("\x18\0\0\0\0\0\0\0\xA3\x7F\x4B\x22", 12));
}

uint64_t Number(const std::string& bytes) {
  uint64_t number = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    number = number << 8 | static_cast<uint8_t>(bytes[i - 1]);
  }
  return number;
}

// The events of a file, whose checks are compared.
std::vector<v1::TensorboardEvent> EventsIn(const std::string& path) {
  const std::string bytes = ReadFile(path).value();
  std::vector<v1::TensorboardEvent> events;
  for (size_t at = 0; at < bytes.size();) {
    const std::string length = bytes.substr(at, 8);
    EXPECT_EQ(Number(bytes.substr(at + 8, 4)), MaskedCrc32c(length));
    const std::string data = bytes.substr(at + 12, Number(length));
    EXPECT_EQ(Number(bytes.substr(at + 12 + data.size(), 4)), MaskedCrc32c(data));
    EXPECT_TRUE(events.emplace_back().ParseFromString(data));
    at += 16 + data.size();
  }
  return events;
}

class EventFileTest : public testing::Test {
 protected:
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(events_)) {
      files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  const TemporaryFolder folder_;
  const std::string events_ = folder_ / "work/tensorboard";
};

TEST_F(EventFileTest, FiguresAndPicturesComeBack) {
  const std::string png = EncodePng(Bitmap::Make(3, 2, 3, 200)).value();
  {
    const auto file = EventFile::Create(events_, 1).value();
    ASSERT_EQ(file->WriteFigures(25, "stylex", {{"loss_l1", 0.5}, {"loss_kl", 2}}),
              absl::OkStatus());
    ASSERT_EQ(file->WritePicture(30, "samples", png), absl::OkStatus());
    EXPECT_EQ(EventsIn(Files().at(0)).size(), 4u) << "each is written at once";
  }
  const std::vector<v1::TensorboardEvent> events = EventsIn(Files().at(0));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].session_log().status(), v1::TENSORBOARD_SESSION_STATUS_START);
  EXPECT_EQ(events[1].step(), 1);
  EXPECT_EQ(events[2].step(), 25);
  EXPECT_GT(events[2].wall_time(), 1.7e9);
  ASSERT_EQ(events[2].summary().value_size(), 2);
  EXPECT_EQ(events[2].summary().value(0).tag(), "stylex/loss_kl");
  EXPECT_EQ(events[2].summary().value(0).simple_value(), 2);
  EXPECT_EQ(events[2].summary().value(1).tag(), "stylex/loss_l1");
  const v1::TensorboardImage& image = events[3].summary().value(0).image();
  EXPECT_EQ(image.width(), 3);
  EXPECT_EQ(image.height(), 2);
  EXPECT_EQ(image.colorspace(), 3);
  EXPECT_EQ(image.encoded_image_string(), png);
}

TEST_F(EventFileTest, ARunThatGoesOnBeginsALaterFile) {
  EventFile::Create(events_, 1).value();
  EventFile::Create(events_, 501).value();
  const std::vector<std::string> files = Files();
  ASSERT_EQ(files.size(), 2u);
  EXPECT_THAT(files[0], HasSubstr("tfevents"));
  EXPECT_EQ(EventsIn(files[0])[1].step(), 1);
  EXPECT_EQ(EventsIn(files[1])[1].step(), 501);
}

TEST_F(EventFileTest, WhatCannotBeWrittenIsNamed) {
  std::filesystem::create_directories(folder_ / "work");
  std::ofstream(events_) << "a file";
  const absl::Status status = EventFile::Create(events_, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(status.message(), HasSubstr("work/tensorboard/events.out.tfevents."));
  std::filesystem::remove(events_);
  const auto file = EventFile::Create(events_, 1).value();
  EXPECT_EQ(file->WritePicture(1, "samples", "no picture").code(),
            absl::StatusCode::kInvalidArgument);
}

// What `program` says, and whether it ended well.
std::pair<std::string, bool> Say(const std::string& program) {
  std::FILE* pipe = popen((program + " 2>&1").c_str(), "re");
  std::string said;
  std::array<char, 4096> part;
  while (const size_t count = std::fread(part.data(), 1, part.size(), pipe)) {
    said.append(part.data(), count);
  }
  return {said, pclose(pipe) == 0};
}

// In TensorBoard's own reader: what a resumed run writes again is void in the earlier file.
TEST_F(EventFileTest, TensorBoardReadsThem) {
  const char* set = std::getenv("STYLEX_TENSORBOARD_PYTHON");
  const std::string python = set == nullptr ? "python3" : set;
  if (!Say(python + " -c 'import tensorboard'").second) {
    GTEST_SKIP() << python
                 << " has no module tensorboard (pip install tensorboard; "
                    "STYLEX_TENSORBOARD_PYTHON names another interpreter)";
  }
  const std::string png = EncodePng(Bitmap::Make(8, 8, 3, 90)).value();
  {
    const auto first = EventFile::Create(events_, 1).value();
    for (const int step : {1, 26, 51}) {
      ASSERT_EQ(first->WriteFigures(step, "stylex", {{"loss_l1", step}}), absl::OkStatus());
    }
    const auto second = EventFile::Create(events_, 27).value();
    ASSERT_EQ(second->WriteFigures(51, "stylex", {{"loss_l1", 500}}), absl::OkStatus());
    ASSERT_EQ(second->WritePicture(51, "samples", png), absl::OkStatus());
  }
  const auto [said, fine] = Say(absl::StrCat(python, " ", STYLEX_SOURCE_DIR,
                                             "/tests/trainer/report/read_events.py ", events_));
  ASSERT_TRUE(fine) << said;
  EXPECT_THAT(said, HasSubstr("scalar stylex/loss_l1: 1=1 26=26 51=500\n"));
  EXPECT_THAT(said, HasSubstr("image samples: 51=8x8\n"));
}

}  // namespace
}  // namespace stylex
