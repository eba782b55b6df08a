#include "trainer/training/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::ModelConfig Config() {
  v1::ModelConfig config;
  config.set_name("shoes");
  config.add_labels("left");
  config.add_labels("right");
  config.mutable_provenance()->add_commands("stylex-train stylex");
  (*config.mutable_metrics())["agreement"] = 0.75;
  return config;
}

TEST(ModelCardTest, HasNoSectionsOfItsOwnInTheBeginning) {
  EXPECT_EQ(OwnSections(ModelCard(Config(), std::nullopt)), "");
}

TEST(ModelCardTest, TellsThePrecisionWhereItIsKnown) {
  v1::ModelConfig config = Config();
  EXPECT_THAT(ModelCard(config, std::nullopt), Not(HasSubstr("Computed in")));
  config.mutable_provenance()->set_precision("float32, from image 80 on bfloat16");
  EXPECT_THAT(ModelCard(config, std::nullopt),
              HasSubstr("\nComputed in: float32, from image 80 on bfloat16.\n"));
}

TEST(ModelCardTest, SaysWhatRangesLeaveOut) {
  v1::AttributeIndex index;
  index.set_range_images(2000);
  index.set_search_images(64);
  EXPECT_THAT(ModelCard(Config(), index), HasSubstr("ranges over 2000, shift"));
  index.set_range_tails(0.005);
  EXPECT_THAT(ModelCard(Config(), index),
              HasSubstr("ranges over 2000 (without the outer 0.5 % at each end), shift"));
}

TEST(ModelCardTest, ShowsWhatIsKnownBesideWhatWasFound) {
  v1::KnownTruth truth;
  truth.set_images(50);
  truth.set_accuracy(0.96);
  for (const auto& [name, sign] :
       {std::pair("hair", 1), std::pair("mouth", -1), std::pair("age", 0)}) {
    v1::KnownFactor* factor = truth.add_factors();
    factor->set_name(name);
    factor->set_sign(sign);
  }
  v1::ClassTruth* of_class = truth.add_classes();
  of_class->set_class_id(1);
  for (const double effect : {2.5, -1.5, 0.0}) {
    of_class->add_factors()->set_mean_effect(effect);
  }
  const auto add = [&](int index, const char* factor, v1::TruthFinding finding) {
    v1::AttributeTruth* attribute = of_class->add_attributes();
    attribute->set_index(index);
    attribute->set_direction(index == 7 ? v1::DIRECTION_TO_MIN : v1::DIRECTION_TO_MAX);
    attribute->set_factor(factor);
    attribute->set_change(index == 7 ? -1.25 : 0.75);
    attribute->set_finding(finding);
  };
  add(3, "hair", v1::TRUTH_FINDING_TRUE);
  add(7, "mouth", v1::TRUTH_FINDING_TRUE);
  add(9, "age", v1::TRUTH_FINDING_UNCLEAR);
  of_class->set_recall(1);
  of_class->set_precision(2. / 3);
  const std::string card = ModelCard(Config(), std::nullopt, truth);
  EXPECT_THAT(
      card,
      AllOf(HasSubstr("\n## What the classifier goes by\n"),
            HasSubstr("Measured on 50 held-out images, of which the classifier decides "
                      "96.0 % as they are labelled"),
            HasSubstr("Towards right:"), HasSubstr("| hair | yes | +2.50 | 3 to max (+0.8) |\n"),
            HasSubstr("| mouth | yes | -1.50 | 7 to min (-1.2) |\n"),
            HasSubstr("| age | no | +0.00 |  |\n")));
  EXPECT_THAT(card,
              HasSubstr("\nRecall 1.00, precision 0.67, false discoveries 0.00, right signs none "
                        "of the first 3 attributes.\n"));
  EXPECT_EQ(OwnSections(card), "");
}

TEST(ModelCardTest, WhatPeopleWroteIsKept) {
  TemporaryFolder folder;
  std::string card = ModelCard(Config(), std::nullopt);
  const std::string own =
      "## Limits\n\nLeft shoes only.\n\n```sh\n## Figures of a script\n```\n\n### "
      "Smaller\n\nStill.\n\n";
  card.insert(card.find("## Figures"), own);
  card += "\n## Thanks\n\nTo all.\n";
  ASSERT_TRUE(WriteFileAtomic(folder.path() + "/README.md", card).ok());

  v1::ModelConfig config = Config();
  (*config.mutable_metrics())["agreement"] = 0.875;
  const std::string renewed = RenewedModelCard(folder.path(), config, std::nullopt);
  EXPECT_THAT(renewed, AllOf(HasSubstr("| agreement | 0.875 |"), Not(HasSubstr("0.75")),
                             HasSubstr(own), HasSubstr("## Thanks\n\nTo all.\n")));
  // Renewing again changes nothing.
  ASSERT_TRUE(WriteFileAtomic(folder.path() + "/README.md", renewed).ok());
  EXPECT_EQ(RenewedModelCard(folder.path(), config, std::nullopt), renewed);
}

TEST(ModelCardTest, WithoutAnEarlierCardItIsTheCard) {
  TemporaryFolder folder;
  EXPECT_EQ(RenewedModelCard(folder.path(), Config(), std::nullopt),
            ModelCard(Config(), std::nullopt));
}

}  // namespace
}  // namespace stylex
