#include "trainer/report/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

TEST(FiguresTest, ABandSaysWhetherItHolds) {
  const WantedBand agreement = MeaningOf("agreement", true).wanted;
  EXPECT_TRUE(agreement.known());
  EXPECT_TRUE(agreement.holds(0.98));
  EXPECT_FALSE(agreement.holds(0.96));
  const WantedBand kl = MeaningOf("kl", true).wanted;
  EXPECT_TRUE(kl.holds(0.02));
  EXPECT_FALSE(kl.holds(0.06));
  EXPECT_FALSE(MeaningOf("l1", true).wanted.known()) << "depends on the data";
}

// The page cites a list, which must say the same.
TEST(FiguresTest, TheBandsAreThoseOfTheDocumentation) {
  const std::string text = ReadFile(STYLEX_SOURCE_DIR "/docs/training.md").value();
  const size_t begin = text.find("### Healthy figures");
  ASSERT_NE(begin, std::string::npos);
  const std::string section = text.substr(begin, text.find("\n#", begin + 1) - begin);
  for (const char* name : {"agreement", "flips_by_condition", "flips_by_its_ten_furthest"}) {
    EXPECT_THAT(section, HasSubstr(absl::StrCat("| `", name, "` | at least ",
                                                MeaningOf(name, true).wanted.from, " |")));
  }
  EXPECT_THAT(section,
              HasSubstr(absl::StrCat("| `kl` | at most ", MeaningOf("kl", true).wanted.to, " |")));
}

TEST(FiguresTest, NamesOfStepsAreExplainedWithTheirBatches) {
  EXPECT_THAT(MeaningOf("loss_kl", false).meaning, HasSubstr("KL divergence"));
  EXPECT_THAT(MeaningOf("loss_kl_mapping", false).meaning, HasSubstr("mapping network"));
  EXPECT_THAT(MeaningOf("loss_l1_swap", false).meaning, HasSubstr("another image's condition"));
  EXPECT_EQ(MeaningOf("loss_new", false).label, "loss_new");
  EXPECT_EQ(MeaningOf("loss_new", false).meaning, "");
  EXPECT_EQ(MeaningOf("share_Ankle boot", true).label, "drawn as Ankle boot");
  EXPECT_EQ(MeaningOf("new", true).label, "new");
}

RunLog Checks(double agreement, double without) {
  RunLog log;
  log.checks.push_back(
      {.at = 10,
       .time = {},
       .figures = {{"agreement", agreement}, {"agreement_without_condition", without}}});
  return log;
}

TEST(FiguresTest, AConditionIsHeededWhereItMakesADifference) {
  EXPECT_TRUE(HeedsCondition(Checks(0.98, 0.91)));
  EXPECT_FALSE(HeedsCondition(Checks(0.98, 0.98)));
  EXPECT_FALSE(HeedsCondition(RunLog()));
}

}  // namespace
}  // namespace stylex
