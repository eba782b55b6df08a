#include "trainer/training/classifier_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/functional/activation.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <random>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kCheckedSide = 8;

// Noise around the brightness of its class; the red channel is the brightest.
class TwoBrightnesses : public Dataset {
 public:
  explicit TwoBrightnesses(std::vector<std::string> labels = {"dark", "light"})
      : Dataset({.resolution = kCheckedSide, .channels = 3}) {
    labels_ = std::move(labels);
  }
  int64_t size(Split) const override { return 60; }
  int64_t label(Split, int64_t index) const override { return index % 2; }
  std::string name(Split, int64_t index) const override { return absl::StrCat("image ", index); }
  absl::StatusOr<Bitmap> Load(Split, int64_t index) const override {
    std::mt19937 random(static_cast<unsigned>(index));
    Bitmap bitmap = Bitmap::Make(kCheckedSide, kCheckedSide, 3);
    for (size_t i = 0; i < bitmap.data.size(); ++i) {
      bitmap.data[i] =
          static_cast<uint8_t>((index % 2 == 0 ? 60 : 130) + random() % 40 + (i % 3 == 0 ? 40 : 0));
    }
    return bitmap;
  }
};

class FunctionClassifier : public Classifier {
 public:
  using Function = std::function<torch::Tensor(const torch::Tensor&)>;
  explicit FunctionClassifier(Function function) : function_(std::move(function)) {}
  torch::Tensor Logits(const torch::Tensor& images) const override { return function_(images); }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return 0; }

 private:
  Function function_;
};

// Right on all images in [-1, 1].
torch::Tensor ByBrightness(const torch::Tensor& x) {
  const torch::Tensor mean = x.mean({1, 2, 3}) + 0.05;
  return torch::stack({-8 * mean, 8 * mean}, 1);
}

ClassifierReport Look(const FunctionClassifier::Function& function,
                      const Dataset& dataset = TwoBrightnesses()) {
  const auto report = CheckClassifier(FunctionClassifier(function), dataset, torch::kCPU, 1,
                                      [](const std::string& text) { ADD_FAILURE() << text; });
  EXPECT_TRUE(report.ok()) << report.status();
  return report.value_or(ClassifierReport());
}

TEST(ClassifierCheckTest, AGoodOneHasNoFault) {
  const ClassifierReport report = Look(ByBrightness);
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_EQ(report.accuracy,
            "the classifier is right on 100.0 % of 60 validation images (dark 100.0 %, light "
            "100.0 %)");
}

TEST(ClassifierCheckTest, ProbabilitiesAreNoLogits) {
  EXPECT_THAT(
      Look([](const torch::Tensor& x) { return torch::softmax(ByBrightness(x), 1); }).faults,
      ElementsAre(HasSubstr("gives probabilities")));
}

TEST(ClassifierCheckTest, GradientsAreNeeded) {
  const auto none = HasSubstr("no gradients with respect to the image");
  EXPECT_THAT(Look([](const torch::Tensor& x) { return ByBrightness(x.detach()); }).faults,
              ElementsAre(none));
  EXPECT_THAT(Look([](const torch::Tensor& x) { return ByBrightness(x.sign()); }).faults,
              ElementsAre(none));
  EXPECT_THAT(Look([](const torch::Tensor& x) {
                // Right, with an infinite slope.
                return ByBrightness(x) + (x.mean({1, 2, 3}).unsqueeze(1) * 0).sqrt();
              }).faults,
              ElementsAre(HasSubstr("gradients that are not finite")));
}

TEST(ClassifierCheckTest, OneImageAndABatchAgree) {
  EXPECT_THAT(Look([](const torch::Tensor& x) {
                return ByBrightness(x - x.mean(torch::IntArrayRef({0}), true) - 0.05 + x * 0.01);
              }).faults,
              testing::Contains(HasSubstr("differently alone and in a batch")));
  EXPECT_THAT(Look([](const torch::Tensor& x) {
                return ByBrightness(x) + torch::rand({1, 2});
              }).faults,
              testing::Contains(HasSubstr("answers the same images differently")));
}

TEST(ClassifierCheckTest, OtherRangesAreRecognised) {
  // Each of these was "trained" on what `prepare` makes of [-1, 1].
  const auto trained_on = [](const std::string& name) {
    return Look([name](const torch::Tensor& x) {
             return ByBrightness(name == "0..1" ? x * 2 - 1 : x / 127.5 - 1);
           })
        .faults;
  };
  EXPECT_THAT(trained_on("0..1"), testing::Contains(HasSubstr("when they are in [0, 1]")));
  EXPECT_THAT(trained_on("0..255"), testing::Contains(HasSubstr("when they are in [0, 255]")));
}

TEST(ClassifierCheckTest, AnotherOrderOfTheLabelsIsRecognised) {
  EXPECT_THAT(Look(ByBrightness, TwoBrightnesses({"light", "dark"})).faults, IsEmpty());
  EXPECT_THAT(Look([](const torch::Tensor& x) { return ByBrightness(x).flip(1); }).faults,
              testing::Contains(HasSubstr("right on 100.0 % if its outputs are light, dark, but on "
                                          "0.0 % if they are dark, light")));
}

TEST(ClassifierCheckTest, ChanceIsNotEnough) {
  EXPECT_THAT(Look([](const torch::Tensor& x) {
                return torch::stack({x.mean({1, 2, 3}) + 5, x.mean({1, 2, 3})}, 1);
              }).faults,
              ElementsAre(HasSubstr("not surely better than always answering one class (50.0 %)")));
}

TEST(ClassifierCheckTest, AnExceptionOrAnotherShapeIsAFault) {
  EXPECT_THAT(Look([](const torch::Tensor&) -> torch::Tensor {
                throw std::runtime_error("needs 224x224");
              }).faults,
              ElementsAre("fails: needs 224x224"));
  EXPECT_THAT(
      Look([](const torch::Tensor& x) { return ByBrightness(x).narrow(0, 0, 1); }).faults.front(),
      AllOf(HasSubstr("for a batch of 60 images and 2 classes"), HasSubstr("one row of logits")));
}

}  // namespace
}  // namespace stylex
