#include "server/repository/served_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;

v1::AttributeIndex IndexWithNames(const StyleRanges& ranges) {
  v1::AttributeIndex index;
  RangesToIndex(ranges, &index);
  index.set_range_images(64);
  v1::ClassAttributes* of_class = index.add_classes();
  of_class->set_class_id(2);
  for (const auto& [coordinate, direction, name] : {std::tuple{9, v1::DIRECTION_TO_MIN, "narrow"},
                                                    {9, v1::DIRECTION_TO_MAX, "wide"},
                                                    {17, v1::DIRECTION_TO_MAX, ""}}) {
    v1::Attribute* attribute = of_class->add_attributes();
    attribute->set_index(coordinate);
    attribute->set_direction(direction);
    attribute->set_name(name);
    attribute->set_description(absl::StrCat("all of it ", name));
  }
  return index;
}

class ServedModelTest : public testing::Test {
 protected:
  ServedModelTest() : tiny_(MakeTinyModel(5)), index_(IndexWithNames(tiny_.ranges)) {}

  ServedModel WithIndex() const { return {"tiny", 12, {tiny_.stylex, index_}}; }

  TinyModel tiny_;
  v1::AttributeIndex index_;
};

TEST_F(ServedModelTest, ShapeIsThatOfTheNetworks) {
  const ServedModel model = WithIndex();
  EXPECT_EQ(model.id(), "tiny/12");
  EXPECT_EQ(model.shape().id, "tiny/12");
  EXPECT_THAT(model.shape().labels, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(model.shape().latent_size, 8);
  EXPECT_EQ(model.shape().num_styles, kTinyCoordinates);
  EXPECT_EQ(model.shape().num_to_rgb_styles, 3 * 8) << "a to_rgb layer at 4, 8 and 16";
  EXPECT_TRUE(model.shape().has_ranges);
}

TEST_F(ServedModelTest, RangesComeFromTheIndex) {
  const ServedModel model = WithIndex();
  EXPECT_TRUE(model.ranges().min.equal(tiny_.ranges.min));
  EXPECT_TRUE(model.ranges().max.equal(tiny_.ranges.max));
  EXPECT_TRUE(model.ranges().mean.equal(tiny_.ranges.mean));
  EXPECT_TRUE(model.ranges().std.equal(tiny_.ranges.std));
  EXPECT_EQ(model.ranges().images, 64);
}

TEST_F(ServedModelTest, WithoutAnIndexThereAreNoRangesAndNoAttributes) {
  const ServedModel model("tiny", 1, {tiny_.stylex, std::nullopt});
  EXPECT_FALSE(model.shape().has_ranges);
  EXPECT_FALSE(model.attributes().has_value());
  EXPECT_EQ(model.AttributesOf(2), nullptr);
  EXPECT_FALSE(model.Describe().has_attributes());
}

TEST_F(ServedModelTest, AnIndexWithoutRangesHasNone) {
  v1::AttributeIndex bare = index_;
  bare.clear_styles();
  const ServedModel model("tiny", 1, {tiny_.stylex, bare});
  EXPECT_FALSE(model.shape().has_ranges);
  EXPECT_NE(model.AttributesOf(2), nullptr);
}

TEST_F(ServedModelTest, AttributesAreFoundByClass) {
  const ServedModel model = WithIndex();
  ASSERT_NE(model.AttributesOf(2), nullptr);
  EXPECT_EQ(model.AttributesOf(2)->attributes_size(), 3);
  EXPECT_EQ(model.AttributesOf(0), nullptr);
}

TEST_F(ServedModelTest, DescribesAnAttributeWithItsNameInTheTargetsList) {
  const ServedModel model = WithIndex();
  const v1::Attribute wide = model.DescribeAttribute({9, 1}, 2);
  EXPECT_EQ(wide.index(), 9);
  EXPECT_EQ(wide.layer(), 1) << "8 coordinates a layer";
  EXPECT_EQ(wide.channel(), 1);
  EXPECT_EQ(wide.direction(), v1::DIRECTION_TO_MAX);
  EXPECT_EQ(wide.name(), "wide");
  EXPECT_EQ(wide.description(), "all of it wide");
  EXPECT_EQ(model.DescribeAttribute({9, 0}, 2).name(), "narrow");
  EXPECT_EQ(model.DescribeAttribute({9, 1}, 1).name(), "") << "the name belongs to class 2";
  EXPECT_EQ(model.DescribeAttribute({17, 1}, 2).name(), "");
  EXPECT_EQ(model.DescribeAttribute({39, 0}, 2).layer(), 4);
  EXPECT_EQ(model.DescribeAttribute({39, 0}, 2).channel(), 7);
}

TEST_F(ServedModelTest, DescribesItself) {
  const v1::Model described = WithIndex().Describe();
  EXPECT_EQ(described.summary().name(), "tiny");
  EXPECT_EQ(described.summary().version(), 12);
  EXPECT_EQ(described.summary().state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(described.summary().resolution(), kTinyResolution);
  EXPECT_THAT(described.summary().labels(), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(described.image_channels(), 1);
  EXPECT_EQ(described.latent_size(), 8);
  EXPECT_EQ(described.num_styles(), kTinyCoordinates);
  EXPECT_THAT(described.layer_styles(), ElementsAre(8, 8, 8, 8, 8));
  EXPECT_EQ(described.num_to_rgb_styles(), 3 * 8);
  EXPECT_EQ(described.attributes().classes_size(), 1);
  EXPECT_EQ(described.attributes().styles_size(), 0) << "ranges would be most of the answer";
  int64_t weights = tiny_.classifier->NumParameters();
  for (const auto& [name, tensor] : tiny_.stylex.networks().NamedTensors()) {
    const bool used = name.starts_with("generator.") || name.starts_with("encoder.");
    weights += used && tensor.requires_grad() ? tensor.numel() : 0;
  }
  EXPECT_EQ(described.num_parameters(), weights);
  EXPECT_FALSE(described.has_truth());
}

TEST_F(ServedModelTest, TellsWhatIsKnownOfItsClassifier) {
  v1::KnownTruth truth;
  truth.add_factors()->set_name("hair");
  const ServedModel model("tiny", 12, {tiny_.stylex, index_, truth});
  ASSERT_TRUE(model.Describe().has_truth());
  EXPECT_EQ(model.Describe().truth().factors(0).name(), "hair");
}

// Multiply-adds of one image, counted from the layers that the plan holds.
double CountedMacs(const Stylex& model) {
  double macs = 0;
  for (const SynthesisPlan::Conv& conv : model.Plan()->convs()) {
    macs += 9.0 * static_cast<double>(conv.out_side * conv.out_side * conv.in * conv.out);
  }
  return macs;
}

TEST_F(ServedModelTest, BatchesShrinkAsNetworksGrow) {
  const ServedModel small = WithIndex();
  EXPECT_EQ(small.search_batch(), 64) << "never more";
  EXPECT_EQ(small.explanation_batch(), 64);
  v1::ModelConfig config = tiny_.stylex.config();
  for (const int channels : {64, 96, 256}) {
    for (int i = 0; i < 3; ++i) {
      config.mutable_generator()->set_channels(i, channels);
    }
    const Stylex stylex(config, Networks::Make(config), tiny_.classifier);
    const ServedModel model("large", 1, {stylex, std::nullopt});
    const double macs = CountedMacs(stylex);
    EXPECT_EQ(model.search_batch(), std::clamp<int64_t>(static_cast<int64_t>(6e7 / macs), 2, 64))
        << channels;
    EXPECT_EQ(model.explanation_batch(),
              std::clamp<int64_t>(static_cast<int64_t>(4e8 / macs), 4, 64))
        << channels;
  }
}

}  // namespace
}  // namespace stylex
