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
