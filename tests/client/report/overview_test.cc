// Counts, the matrix, the files beside the page.
#include "client/report/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "client/report/facts.h"
#include "tests/client/report/example_explanation.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

ReportInputs FourPets() {
  ExplainedPhotograph stays = CatToDog(), weak = CatToDog(), other = CatToDog();
  stays.answer.set_flipped(false);
  stays.answer.set_convincing(false);
  weak.answer.set_convincing(false);
  other.answer.mutable_quality()->set_same_class(false);
  for (int i = 0; i < 4; ++i) {
    *other.answer.add_applied() = other.answer.applied(0);
    *stays.answer.add_applied() = stays.answer.applied(0);
  }
  ReportInputs inputs{.model = Pets(), .facts = {}, .failed = {}, .asked = 6, .pairs = {}};
  for (const ExplainedPhotograph& explanation : {CatToDog(), stays, weak, other}) {
    inputs.facts.push_back(FactsOf(inputs.model, explanation));
  }
  inputs.failed = {{"photos/a,b.jpg", "no \"JPEG\" file"}};
  return inputs;
}

TEST(OverviewTest, CountsPhotographs) {
  const Json counts = OverviewOf(FourPets())["counts"];
  EXPECT_EQ(counts["photographs"], 4);
  EXPECT_EQ(counts["convincing"], 2);
  EXPECT_EQ(counts["just_flipped"], 1);
  EXPECT_EQ(counts["not_flipped"], 1);
  EXPECT_EQ(counts["decided_otherwise"], 1);
  EXPECT_EQ(counts["failed"], 1);
  EXPECT_EQ(counts["not_reached"], 1) << "of six";
  EXPECT_EQ(counts["attributes_moved_median"], 1) << "of those flipped: 1, 1, 5";
  ReportInputs two = FourPets();
  two.facts = {two.facts[0], two.facts[3]};
  EXPECT_EQ(OverviewOf(two)["counts"]["attributes_moved_median"], 3) << "of 1 and 5";
}

TEST(OverviewTest, NothingExplainedIsAnOverviewAllTheSame) {
  const Json overview =
      OverviewOf({.model = Pets(), .facts = {}, .failed = {}, .asked = 0, .pairs = {}});
  EXPECT_EQ(overview["counts"]["photographs"], 0);
  EXPECT_FALSE(overview["counts"].contains("attributes_moved_median"));
  EXPECT_TRUE(overview["matrix"].empty());
}

TEST(OverviewTest, TheMatrixSaysWhichClassBecomesWhich) {
  const Json matrix = OverviewOf(FourPets())["matrix"];
  ASSERT_EQ(matrix.size(), 1u);
  EXPECT_EQ(
      matrix[0],
      (Json{{"from", "cat"}, {"to", "dog"}, {"tried", 4}, {"flipped", 3}, {"convincing", 2}}));
}

TEST(OverviewTest, AttributesOfAClassWithTheirPairs) {
  ReportInputs inputs = FourPets();
  v1::ClassAttributes& dogs = *inputs.model.mutable_attributes()->add_classes();
  dogs.set_class_id(1);
  for (int i = 0; i < kAttributesShown + 2; ++i) {
    v1::Attribute& attribute = *dogs.add_attributes();
    attribute.set_index(10 + i);
    attribute.set_direction(v1::DIRECTION_TO_MAX);
    attribute.set_mean_effect(2 - 0.1 * i);
  }
  dogs.mutable_attributes(1)->set_name("ears droop");
  inputs.model.mutable_attributes()->add_classes()->set_class_id(
      99);  // that the labels do not have
  inputs.pairs = {{1, 10, v1::DIRECTION_TO_MAX, "tom", "data:a", "data:b", "smoother"},
                  {1, 11, v1::DIRECTION_TO_MAX, "tom", "data:c", "data:d", "darker"},
                  {1, 12, v1::DIRECTION_TO_MIN, "tom", "data:e", "data:f", "other end"}};
  const Json classes = OverviewOf(inputs)["attributes"];
  ASSERT_EQ(classes.size(), 1u);
  EXPECT_EQ(classes[0]["class"], "dog");
  const Json& attributes = classes[0]["attributes"];
  ASSERT_EQ(attributes.size(), static_cast<size_t>(kAttributesShown));
  EXPECT_EQ(attributes[0]["words"], "smoother") << "what the pair shows, as it has no name";
  EXPECT_EQ(attributes[0]["pair"]["before"], "data:a");
  EXPECT_EQ(attributes[1]["words"], "ears droop") << "a name is better";
  EXPECT_EQ(attributes[2]["words"], "attribute 12");
  EXPECT_FALSE(attributes[2].contains("pair")) << "that pair is of the other direction";
}

TEST(OverviewTest, LimitsAreTheModelsFigures) {
  ReportInputs inputs = FourPets();
  EXPECT_TRUE(OverviewOf(inputs)["limits"].empty());
  (*inputs.model.mutable_metrics())["flip_rate_joint_10"] = 0.875;
  (*inputs.model.mutable_metrics())["something_else"] = 0.123;
  (*inputs.model.mutable_metrics())["ssim"] = 0.49;
  const Json limits = OverviewOf(inputs)["limits"];
  ASSERT_EQ(limits.size(), 2u);
  EXPECT_EQ(limits[0], "87.5 % of decisions flip with at most 10 attributes.");
  EXPECT_THAT(limits[1].get<std::string>(), HasSubstr("rough"));
}

TEST(ReportJsonTest, HasFactsAndFailuresAndNoPictures) {
  ReportInputs inputs = FourPets();
  v1::ClassAttributes& dogs = *inputs.model.mutable_attributes()->add_classes();
  dogs.set_class_id(1);
  dogs.add_attributes()->set_index(10);
  inputs.pairs = {{1, 10, v1::DIRECTION_UNSPECIFIED, "tom", "data:a", "data:b", "smoother"}};
  const std::string text = ReportJson(inputs);
  const Json json = Json::parse(text);
  EXPECT_EQ(json["photographs"].size(), 4u);
  EXPECT_EQ(json["photographs"][0]["target"], "dog");
  EXPECT_EQ(json["failed"][0]["path"], "photos/a,b.jpg");
  EXPECT_EQ(json["attributes"][0]["attributes"][0]["words"], "smoother");
  EXPECT_THAT(text, Not(HasSubstr("data:")));
}

// Read back by the rules of RFC 4180.
std::vector<std::vector<std::string>> ParseCsv(const std::string& csv) {
  std::vector<std::vector<std::string>> lines = {{""}};
  bool quoted = false;
  for (size_t i = 0; i < csv.size(); ++i) {
    if (csv[i] == '"' && quoted && i + 1 < csv.size() && csv[i + 1] == '"') {
      lines.back().back() += csv[++i];
    } else if (csv[i] == '"') {
      quoted = !quoted;
    } else if (csv[i] == ',' && !quoted) {
      lines.back().emplace_back();
    } else if (csv[i] == '\n' && !quoted) {
      lines.push_back({""});
    } else if (csv[i] != '\r' || quoted) {
      lines.back().back() += csv[i];
    }
  }
  lines.pop_back();
  return lines;
}

TEST(ReportCsvTest, HasALineForEachFile) {
  const auto lines = ParseCsv(ReportCsv(FourPets()));
  ASSERT_EQ(lines.size(), 6u);
  const auto column = [&](const std::string& name) {
    return static_cast<size_t>(std::find(lines[0].begin(), lines[0].end(), name) -
                               lines[0].begin());
  };
  for (const auto& line : lines) {
    EXPECT_EQ(line.size(), lines[0].size());
  }
  EXPECT_EQ(lines[1][column("decided")], "cat");
  EXPECT_EQ(lines[1][column("outcome")], "convincing");
  EXPECT_EQ(lines[4][column("attributes")], "ears; ears; ears; ears; ears");
  EXPECT_EQ(lines[5][column("path")], "photos/a,b.jpg");
  EXPECT_EQ(lines[5][column("error")], "no \"JPEG\" file");
  EXPECT_EQ(lines[5][column("outcome")], "");
}

}  // namespace
}  // namespace stylex
