#include "models/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "base/cores.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

TEST(DeviceTest, KnowsItsNames) {
  EXPECT_TRUE(ParseDevice("cpu").value().is_cpu());
  EXPECT_TRUE(ParseDevice("auto").ok());
}

TEST(DeviceTest, SaysWhatWouldBeRight) {
  for (const std::string name : {"", "gpu", "cuda:", "cuda:x", "cuda1", "auto:0", "cpu:0"}) {
    const absl::Status status = ParseDevice(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("auto, cpu, cuda or cuda:N"));
  }
  for (const std::string name : {"cuda:-1", "cuda:99"}) {
    const absl::Status status = ParseDevice(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST(DeviceTest, ChoosingSetsTheThreads) {
  const int before = torch::get_num_threads();
  EXPECT_TRUE(ChooseDevice("cpu", 1).ok());
  EXPECT_EQ(torch::get_num_threads(), 1);
  EXPECT_TRUE(ChooseDevice("cpu", 3).ok());
  EXPECT_EQ(torch::get_num_threads(), 3);
  EXPECT_TRUE(ChooseDevice("cpu", 0).ok());
  EXPECT_EQ(torch::get_num_threads(), AvailableCores()) << "all that this process may use";
  torch::set_num_threads(before);
}

TEST(DeviceTest, AutoIsTheCpuJustWhereThereIsAReason) {
  EXPECT_EQ(ParseDevice("auto").value().is_cpu(), !WhyNoGpu().empty());
  if (!WhyNoGpu().empty()) {
    EXPECT_THAT(std::string(ParseDevice("cuda").status().message()), HasSubstr(WhyNoGpu()));
  }
}

}  // namespace
}  // namespace stylex
