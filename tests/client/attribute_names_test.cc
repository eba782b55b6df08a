// Names as people type them.
#include "client/attribute_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

v1::Attribute* Add(int index, v1::Direction direction, v1::ClassAttributes* attributes) {
  v1::Attribute* attribute = attributes->add_attributes();
  attribute->set_index(index);
  attribute->set_direction(direction);
  return attribute;
}

TEST(FindAttributeTest, ByNameOrDescriptionInAnyCase) {
  v1::Model model;
  v1::ClassAttributes* first = model.mutable_attributes()->add_classes();
  Add(3, v1::DIRECTION_TO_MIN, first)->set_name("mouth opens");
  Add(4, v1::DIRECTION_TO_MAX, first)->set_description("granules redder");
  EXPECT_EQ(FindAttribute(model, "Mouth OPENS")->index(), 3);
  EXPECT_EQ(FindAttribute(model, "granules redder")->direction(), v1::DIRECTION_TO_MAX);
  const absl::Status missing = FindAttribute(model, "hair").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(
      std::string(missing.message()),
      AllOf(HasSubstr("\"hair\""), HasSubstr("\"mouth opens\""), HasSubstr("\"granules redder\"")));
}

TEST(FindAttributeTest, ANameInTwoClassesIsOneAttributeOrAmbiguous) {
  v1::Model model;
  v1::ClassAttributes* first = model.mutable_attributes()->add_classes();
  v1::ClassAttributes* second = model.mutable_attributes()->add_classes();
  Add(3, v1::DIRECTION_TO_MIN, first)->set_name("ears");
  Add(3, v1::DIRECTION_TO_MIN, second)->set_name("ears");
  EXPECT_EQ(FindAttribute(model, "ears")->index(), 3);
  Add(9, v1::DIRECTION_TO_MIN, second)->set_name("ears");
  const absl::Status ambiguous = FindAttribute(model, "ears").status();
  EXPECT_EQ(ambiguous.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(ambiguous.message()), HasSubstr("3 and 9"));
}

TEST(FindAttributeTest, AModelWithoutNamesSaysSo) {
  EXPECT_THAT(std::string(FindAttribute(v1::Model(), "ears").status().message()),
              HasSubstr("none has a name, give INDEX"));
}

using AttributeNamesTest = ClientFixture;

TEST_F(AttributeNamesTest, TraverseAndReconstructTakeThem) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  EXPECT_EQ(
      Run({"traverse", file, "--attribute", "ears droop", "--output", folder_ / "a.gif"}).exit_code,
      0);
  EXPECT_EQ(service_.traverse_request().attribute().index(), 40);
  EXPECT_EQ(service_.traverse_request().attribute().direction(), v1::DIRECTION_TO_MIN);
  EXPECT_THAT(ReadAll(folder_ / "a.gif"), HasSubstr("Synthetic image"));
  EXPECT_EQ(Run({"reconstruct", file, "--edit", "ears droop:0.5", "--edit", "3:1:max", "--output",
                 folder_ / "a-new.png"})
                .exit_code,
            0);
  const v1::ReconstructRequest request = service_.reconstruct_request();
  ASSERT_EQ(request.edits_size(), 2);
  EXPECT_EQ(request.edits(0).index(), 40);
  EXPECT_EQ(request.edits(0).shift(), 0.5);
  EXPECT_EQ(request.edits(1).index(), 3);
}

}  // namespace
}  // namespace stylex
