// The drawn faces, their labels, and reading the factors from pictures.
#include "trainer/study/truth/drawn_face.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "image/resize.h"
#include "trainer/study/truth/face_fit.h"
#include "trainer/study/truth/label_rule.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kSide = 64;

WorldFactors With(WorldFactors factors, size_t j, double value) {
  factors[j] = value;
  return factors;
}

double Difference(const Bitmap& a, const Bitmap& b) {
  double sum = 0;
  for (size_t i = 0; i < a.data.size(); ++i) {
    sum += std::abs(a.data[i] - b.data[i]);
  }
  return sum / static_cast<double>(a.data.size());
}

TEST(WorldTest, FollowsFromTheSeedAndTheNumberAlone) {
  EXPECT_EQ(SampleWorld(3, 7), SampleWorld(3, 7));
  EXPECT_NE(SampleWorld(3, 7), SampleWorld(3, 8));
  EXPECT_NE(SampleWorld(3, 7), SampleWorld(4, 7));
  EXPECT_EQ(DrawWorld(SampleWorld(3, 7), kSide), DrawWorld(SampleWorld(3, 7), kSide));
}

TEST(WorldTest, FactorsAreIndependentAndCoverTheirRange) {
  constexpr int kFaces = 4000;
  std::vector<WorldFactors> faces;
  for (int i = 0; i < kFaces; ++i) {
    faces.push_back(SampleWorld(11, i));
  }
  for (size_t j = 0; j < kWorldFactors; ++j) {
    for (size_t k = 0; k <= j; ++k) {
      double sum = 0;
      for (const WorldFactors& face : faces) {
        sum += (face[j] - 0.5) / WorldDeviation(j) * (face[k] - 0.5) / WorldDeviation(k);
      }
      // Five standard errors.
      EXPECT_NEAR(sum / kFaces, j == k ? 1 : 0, 5 / std::sqrt(kFaces)) << j << " " << k;
    }
    for (const WorldFactors& face : faces) {
      ASSERT_GE(face[j], 0);
      ASSERT_LE(face[j], 1);
      ASSERT_TRUE(!kWorldFactorList[j].binary || face[j] == 0 || face[j] == 1);
    }
  }
}

TEST(WorldTest, PairsAreCorrelatedAsAskedAndOthersAreNot) {
  constexpr int kFaces = 4000;
  for (const double rho : {0.5, 0.95}) {
    std::vector<WorldFactors> faces;
    for (int64_t i = 0; i < kFaces; ++i) {
      faces.push_back(SampleWorld(11, i, rho));
    }
    for (size_t a = 0; a < kWorldFactors; ++a) {
      for (size_t b = a + 1; b < kWorldFactors; ++b) {
        double product = 0, mean_a = 0, mean_b = 0;
        for (const WorldFactors& face : faces) {
          mean_a += face[a] / kFaces;
          mean_b += face[b] / kFaces;
        }
        for (const WorldFactors& face : faces) {
          product += (face[a] - mean_a) * (face[b] - mean_b) / kFaces;
        }
        const double correlation = product / (WorldDeviation(a) * WorldDeviation(b));
        const bool mixed = kWorldFactorList[a].binary != kWorldFactorList[b].binary;
        // Of a uniform value and whether it is above its middle: sqrt(3) / 2 of the whole.
        const double of_pair = mixed ? rho * std::sqrt(3.0) / 2 : rho;
        EXPECT_NEAR(correlation, a % 2 == 0 && b == a + 1 ? of_pair : 0, 0.06) << a << " " << b;
      }
    }
  }
  EXPECT_EQ(SampleWorld(11, 5, 0), SampleWorld(11, 5));
}

TEST(WorldTest, EachFactorShowsAndChangesSmoothly) {
  for (const int side : {32, 64}) {
    for (size_t j = 0; j < kWorldFactors; ++j) {
      const WorldFactors face = SampleWorld(5, 2);
      const Bitmap low = DrawWorld(With(face, j, 0), side);
      EXPECT_GT(Difference(low, DrawWorld(With(face, j, 1), side)), 0.3)
          << kWorldFactorList[j].name << " at " << side;
      // Pixels change continuously: anti-aliased outlines move by fractions of pixels.
      const std::vector<float> a = DrawWorldExactly(With(face, j, 0.500), side);
      const std::vector<float> b = DrawWorldExactly(With(face, j, 0.502), side);
      for (size_t i = 0; i < a.size(); ++i) {
        ASSERT_LT(std::abs(a[i] - b[i]), 0.02) << kWorldFactorList[j].name;
      }
    }
  }
}

TEST(WorldTest, ATagIsWhereItBelongsAndNowhereElse) {
  const WorldFactors face = SampleWorld(1, 1);
  const Bitmap without = DrawWorld(With(face, 9, 0), kSide);
  const Bitmap with = DrawWorld(With(face, 9, 1), kSide);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const bool inside = x > 54 && x < 60 && y > 54 && y < 60;
      const bool outside = x < 53 || x > 61 || y < 53 || y > 61;
      const bool changed =
          !std::equal(without.pixel(x, y), without.pixel(x, y) + 3, with.pixel(x, y));
      EXPECT_FALSE(inside && !changed) << x << " " << y;
      EXPECT_FALSE(outside && changed) << x << " " << y;
    }
  }
}

TEST(WorldRuleTest, SumsSignedFactorsInStandardDeviations) {
  const WorldRule rule = ParseWorldRule("hair, glasses,-mouth").value();
  for (int i = 0; i < 200; ++i) {
    const WorldFactors face = SampleWorld(2, i);
    const double sum =
        (face[1] - 0.5) * std::sqrt(12.0) + (face[3] - 0.5) * 2 - (face[5] - 0.5) * std::sqrt(12.0);
    EXPECT_EQ(rule.Label(face), sum > 0 ? 1 : 0) << i;
  }
}

TEST(WorldRuleTest, DoubtDrawsLabelsByTheSigmoidOfTheSum) {
  const WorldRule rule = ParseWorldRule("hair,-mouth").value();
  for (const double doubt : {0.25, 1.0}) {
    for (int64_t i = 0; i < 20; ++i) {
      const WorldFactors face = SampleWorld(2, i);
      const double probability = 1 / (1 + std::exp(-rule.Sum(face) / doubt));
      int drawn = 0;
      for (int u = 0; u < 1000; ++u) {
        drawn += rule.Label(face, doubt, u / 1000.0);
      }
      EXPECT_NEAR(drawn / 1000.0, probability, 0.0011) << rule.Sum(face);
    }
  }
  const WorldFactors face = SampleWorld(2, 3);
  EXPECT_EQ(rule.Label(face), rule.Sum(face) > 0 ? 1 : 0);
}

TEST(WorldRuleTest, NamesWhatIsWrong) {
  const auto fault = [](const std::string& rule) {
    return std::string(ParseWorldRule(rule).status().message());
  };
  EXPECT_THAT(fault("hair,nose"), AllOf(HasSubstr("\"nose\""), HasSubstr("wrinkles")));
  EXPECT_THAT(fault("hair,-hair"), HasSubstr("twice"));
  EXPECT_THAT(fault(""), HasSubstr("\"\""));
}

TEST(WorldReadingTest, ReadsBackWhatWasDrawn) {
  WorldFactors middle;
  middle.fill(0.5);
  for (const int side : {32, 64}) {
    for (int i = 0; i < 12; ++i) {
      const WorldFactors face = SampleWorld(21, i);
      const WorldReading reading = ReadWorld(DrawWorld(face, side), middle);
      for (size_t j = 0; j < kWorldFactors; ++j) {
        EXPECT_NEAR(reading.factors[j], face[j], 0.04)
            << kWorldFactorList[j].name << " of face " << i << " at " << side;
      }
      EXPECT_LT(reading.residual, 0.5);  // bytes: what rounding leaves
    }
  }
}

// Blurred like generated pictures, which lose fine detail.
TEST(WorldReadingTest, ReadsBlurredPictures) {
  std::array<double, kWorldFactors> error{};
  constexpr int kFaces = 12;
  for (int i = 0; i < kFaces; ++i) {
    const WorldFactors face = SampleWorld(22, i);
    const Bitmap sharp = DrawWorld(face, kSide);
    const Bitmap blurred = ResizeBicubic(ResizeBicubic(sharp, 40, 40), kSide, kSide);
    const WorldReading reading = ReadWorld(blurred, SampleWorld(23, i));
    EXPECT_GT(reading.residual, 1);
    for (size_t j = 0; j < kWorldFactors; ++j) {
      error[j] += std::abs(reading.factors[j] - face[j]) / WorldDeviation(j) / kFaces;
    }
  }
  for (size_t j = 0; j < kWorldFactors; ++j) {
    EXPECT_LT(error[j], 0.25) << kWorldFactorList[j].name;
  }
}

}  // namespace
}  // namespace stylex
