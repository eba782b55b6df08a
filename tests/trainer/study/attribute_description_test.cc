// Pictures that change in a known way, and what is said of it.
#include "trainer/study/attribute_description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Discs on paper: of the image's own radius and redness, changed by `grow` and `redden`.
std::vector<Bitmap> Discs(const std::function<double(int)>& radius,
                          const std::function<int(int)>& red) {
  std::vector<Bitmap> pictures;
  for (int i = 0; i < 10; ++i) {
    Bitmap picture = Bitmap::Make(32, 32, 3, 225);
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        if (std::hypot(x - 15.5, y - 15.5) <= radius(i)) {
          uint8_t* pixel = picture.pixel(x, y);
          pixel[0] = static_cast<uint8_t>(red(i));
          pixel[1] = 100;
          pixel[2] = 120;
        }
      }
    }
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

double Radius(int i) { return 8 + 0.3 * i; }
int Red(int i) { return 120 + 3 * i; }

std::vector<std::string> WordsOf(const AttributeDescription& description) {
  std::vector<std::string> words;
  for (const v1::AttributeChange& change : description.changes) {
    words.push_back(change.words());
  }
  return words;
}

TEST(AttributeDescriptionTest, WhatGrewIsLarger) {
  const AttributeDescription grown =
      DescribeChange(Discs(Radius, Red), Discs([](int i) { return Radius(i) + 2; }, Red));
  EXPECT_THAT(WordsOf(grown), testing::Contains("object larger"));
  EXPECT_NEAR(grown.x, 0, 1e-9);
  EXPECT_GT(grown.visible_area, 0.05);
  const AttributeDescription shrunk =
      DescribeChange(Discs([](int i) { return Radius(i) + 2; }, Red), Discs(Radius, Red));
  EXPECT_THAT(WordsOf(shrunk), testing::Contains("object smaller"));
}

TEST(AttributeDescriptionTest, WhatReddenedIsRedder) {
  const AttributeDescription redder =
      DescribeChange(Discs(Radius, Red), Discs(Radius, [](int i) { return Red(i) + 60; }));
  ASSERT_FALSE(redder.changes.empty());
  int red = 0;
  for (const v1::AttributeChange& change : redder.changes) {
    red += change.words().ends_with("redder") ? 1 : 0;
    EXPECT_EQ(change.agreement(), 1);
  }
  EXPECT_EQ(red, 1) << "of a quantity only the place where it is strongest";
  EXPECT_THAT(DescriptionText(redder), testing::HasSubstr("redder"));
}

TEST(AttributeDescriptionTest, WhatImagesDoNotShareIsNotSaid) {
  const AttributeDescription mixed = DescribeChange(
      Discs(Radius, Red), Discs(Radius, [](int i) { return Red(i) + (i % 2 == 0 ? 60 : -60); }));
  for (const std::string& words : WordsOf(mixed)) {
    EXPECT_FALSE(words.ends_with("redder") || words.ends_with("greener")) << words;
  }
  const AttributeDescription same = DescribeChange(Discs(Radius, Red), Discs(Radius, Red));
  EXPECT_THAT(same.changes, IsEmpty());
  EXPECT_EQ(DescriptionText(same), "");
  EXPECT_EQ(same.visible_area, 0);
}

// A mark that half of the images get, the others have already.
TEST(AttributeDescriptionTest, WhatChangesSomeImagesIsToldOfThese) {
  const auto marked = [](const std::function<bool(int)>& has) {
    std::vector<Bitmap> pictures = Discs(Radius, Red);
    for (size_t i = 0; i < pictures.size(); ++i) {
      for (int y = 27; y < 31 && has(static_cast<int>(i)); ++y) {
        for (int x = 27; x < 31; ++x) {
          uint8_t* pixel = pictures[i].pixel(x, y);
          pixel[0] = 240;
          pixel[1] = 40;
          pixel[2] = 150;
        }
      }
    }
    return pictures;
  };
  const AttributeDescription mark =
      DescribeChange(marked([](int i) { return i % 2 == 0; }), marked([](int) { return true; }));
  EXPECT_DOUBLE_EQ(mark.affected, 0.5);
  EXPECT_DOUBLE_EQ(mark.visible_area, 16.0 / 1024);
  EXPECT_THAT(DescriptionText(mark), testing::HasSubstr("bottom right redder"));
}

AttributeDescription Told(const std::vector<std::string>& words) {
  AttributeDescription description;
  for (const std::string& text : words) {
    description.changes.emplace_back().set_words(text);
  }
  return description;
}

TEST(AttributeDescriptionTest, TwoChangesAreToldInTheFieldsWords) {
  AttributeDescription description = Told({"dark parts redder", "object larger", "smoother"});
  EXPECT_EQ(DescriptionText(description), "dark parts redder, object larger");
  Reword({{"dark parts", "nucleus"}, {"smooth", "never"}}, &description);
  EXPECT_EQ(DescriptionText(description), "nucleus redder, object larger");
  EXPECT_EQ(description.changes[2].words(), "smoother");
}

TEST(AttributeDescriptionTest, NamesMayNotSayMoreThanWasMeasured) {
  google::protobuf::RepeatedPtrField<v1::AttributeChange> changes;
  changes.Add()->set_words("nucleus redder");
  changes.Add()->set_words("object larger");
  EXPECT_THAT(UnmeasuredWords("Redder granules", changes), IsEmpty());
  EXPECT_THAT(UnmeasuredWords("larger cell, redder", changes), IsEmpty());
  EXPECT_THAT(UnmeasuredWords("a mouth", changes), IsEmpty());
  EXPECT_THAT(UnmeasuredWords("Smaller (and greener)", changes), ElementsAre("greener", "smaller"));
}

}  // namespace
}  // namespace stylex
