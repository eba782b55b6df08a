#include "explain/exemplar_baseline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "tests/models/reference_folder.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Rows (coordinate, direction, relevance), in the reference's format.
torch::Tensor Table(const std::vector<ExemplarAttribute>& attributes) {
  torch::Tensor table = torch::empty({static_cast<int64_t>(attributes.size()), 3});
  for (size_t i = 0; i < attributes.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i);
    table[row][0] = attributes[i].coordinate.index;
    table[row][1] = attributes[i].coordinate.direction;
    table[row][2] = attributes[i].relevance;
  }
  return table;
}

struct Population {
  torch::Tensor styles = torch::randn({300, 23}) * 2 + torch::randn({23});
  torch::Tensor logits = torch::randn({300, 3}) * 4;

  Population() {
    // Some coordinates follow a class.
    styles.select(1, 4) += logits.select(1, 1);
    styles.select(1, 9) -= 2 * logits.select(1, 1);
    styles.select(1, 15) += logits.select(1, 2);
  }
};

TEST(ExemplarBaselineTest, AgreesWithALiteralReading) {
  torch::manual_seed(5);
  const Population population;
  ReferenceFolder folder;
  folder.Write("styles", population.styles);
  folder.Write("logits", population.logits);
  ExemplarOptions options;
  for (int64_t target = 0; target < 3; ++target) {
    folder.Write(
        absl::StrCat("above_", target),
        Table(ExemplarAttributes(population.styles, population.logits, target, options).value()));
  }
  options.share = 0.02;
  options.max_attributes = 100;
  folder.Write("top_1",
               Table(ExemplarAttributes(population.styles, population.logits, 1, options).value()));
  folder.CompareWith("tests/explain/reference_exemplars.py");
}

TEST(ExemplarBaselineTest, FindsWhatGoesWithTheClass) {
  torch::manual_seed(6);
  const Population population;
  const auto found = ExemplarAttributes(population.styles, population.logits, 1, {}).value();
  ASSERT_EQ(found.size(), 10);
  EXPECT_EQ(found[0].coordinate, (Coordinate{9, 0}));
  EXPECT_EQ(found[1].coordinate, (Coordinate{4, 1}));
}

TEST(ExemplarBaselineTest, WhatDoesNotVaryIsLeftOut) {
  torch::manual_seed(7);
  Population population;
  population.styles.select(1, 2).fill_(3);
  const auto found =
      ExemplarAttributes(population.styles, population.logits, 1, {.max_attributes = 100}).value();
  EXPECT_EQ(found.size(), 22);
  for (const ExemplarAttribute& attribute : found) {
    EXPECT_NE(attribute.coordinate.index, 2);
  }
}

TEST(ExemplarBaselineTest, SaysWhenThereAreTooFewExemplars) {
  torch::manual_seed(8);
  const Population population;
  const auto found = ExemplarAttributes(population.styles, torch::zeros({300, 3}), 2, {});
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("class 2 has 0 exemplars (a probability over 0.9) among 300"));
  const auto share = ExemplarAttributes(population.styles, population.logits, 1, {.share = 0.003});
  EXPECT_THAT(std::string(share.status().message()),
              AllOf(HasSubstr("1 exemplars (the top 0.3 %)"), HasSubstr("a greater share")));
}

TEST(ExemplarBaselineTest, ExemplarsAreReadAsAProbabilityOrAShare) {
  EXPECT_EQ(ParseExemplars("0.9")->probability, 0.9);
  EXPECT_EQ(ParseExemplars("0.9")->share, 0);
  EXPECT_EQ(ParseExemplars("0")->probability, 0);
  EXPECT_EQ(ParseExemplars("2%")->share, 0.02);
  EXPECT_EQ(ParseExemplars("100%")->share, 1);
  for (const std::string wrong :
       {"", "%", "1", "1.5", "-0.1", "0%", "101%", "nan", "nan%", "many"}) {
    const absl::Status status = ParseExemplars(wrong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"" + wrong + "\""));
  }
}

}  // namespace
}  // namespace stylex
