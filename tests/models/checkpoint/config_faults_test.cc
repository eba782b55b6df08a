#include "models/checkpoint/config_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylex {
namespace {

TEST(ConfigFaultsTest, NothingWrongIsOk) {
  ConfigFaults faults;
  faults.Check(true, "resolution", 64, "a power of two");
  EXPECT_TRUE(faults.ToStatus("model.json").ok());
}

TEST(ConfigFaultsTest, EveryFaultIsToldWithFieldValueAndWhatIsRight) {
  ConfigFaults faults;
  faults.Check(false, "resolution", 65, "a power of two from 16 to 256");
  faults.Check(true, "labels", 2, "at least 1");
  faults.Check(false, "stylex.beta2", 1.5, "0 to 1");
  faults.Check(false, "name", "", "a name");
  const absl::Status status = faults.ToStatus("runs/train.json");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "runs/train.json: resolution is 65, expected a power of two from 16 to 256; "
            "stylex.beta2 is 1.5, expected 0 to 1; name is , expected a name");
}

}  // namespace
}  // namespace stylex
