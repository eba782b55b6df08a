#include "trainer/training/lpips.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/sha256.h"
#include "models/checkpoint/safetensors.h"
#include "tests/models/reference_folder.h"
#include "tests/trainer/commands/trainer_process.h"
#include "tests/trainer/data/drawn_dataset.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Tensors = std::map<std::string, torch::Tensor>;

struct RandomConvolution {
  std::string name;
  int64_t out, in, kernel;
};

// Weights that roughly preserve the scale of activations; biases leave some channels inactive.
void AddRandom(const std::vector<RandomConvolution>& convolutions,
               const std::vector<int64_t>& depths, Tensors* tensors) {
  for (const RandomConvolution& c : convolutions) {
    const double fan_in = static_cast<double>(c.in * c.kernel * c.kernel);
    (*tensors)[c.name + ".weight"] =
        torch::randn({c.out, c.in, c.kernel, c.kernel}) * std::sqrt(2 / fan_in);
    (*tensors)[c.name + ".bias"] = torch::randn({c.out}) * 0.2;
  }
  for (size_t depth = 0; depth < depths.size(); ++depth) {
    (*tensors)[absl::StrCat("lin", depth, ".model.1.weight")] =
        torch::rand({1, depths[depth], 1, 1});
  }
}

Tensors RandomAlexNet() {
  Tensors tensors;
  AddRandom({{"features.0", 64, 3, 11},
             {"features.3", 192, 64, 5},
             {"features.6", 384, 192, 3},
             {"features.8", 256, 384, 3},
             {"features.10", 256, 256, 3}},
            {64, 192, 384, 256, 256}, &tensors);
  return tensors;
}

Tensors RandomVgg16() {
  const std::vector<std::pair<int, int64_t>> layers = {
      {0, 64},   {2, 64},   {5, 128},  {7, 128},  {10, 256}, {12, 256}, {14, 256},
      {17, 512}, {19, 512}, {21, 512}, {24, 512}, {26, 512}, {28, 512}};
  std::vector<RandomConvolution> convolutions;
  int64_t in = 3;
  for (const auto& [index, out] : layers) {
    convolutions.push_back({absl::StrCat("features.", index), out, in, 3});
    in = out;
  }
  Tensors tensors;
  AddRandom(convolutions, {64, 128, 256, 512, 512}, &tensors);
  return tensors;
}

Tensors RandomSqueezeNet() {
  struct Squeeze {
    int index;
    int64_t in, squeezed, half;
  };
  std::vector<RandomConvolution> convolutions = {{"features.0", 64, 3, 3}};
  for (const Squeeze& fire : std::vector<Squeeze>{{3, 64, 16, 64},
                                                  {4, 128, 16, 64},
                                                  {6, 128, 32, 128},
                                                  {7, 256, 32, 128},
                                                  {9, 256, 48, 192},
                                                  {10, 384, 48, 192},
                                                  {11, 384, 64, 256},
                                                  {12, 512, 64, 256}}) {
    const std::string name = absl::StrCat("features.", fire.index);
    convolutions.push_back({name + ".squeeze", fire.squeezed, fire.in, 1});
    convolutions.push_back({name + ".expand1x1", fire.half, fire.squeezed, 1});
    convolutions.push_back({name + ".expand3x3", fire.half, fire.squeezed, 3});
  }
  Tensors tensors;
  AddRandom(convolutions, {64, 128, 256, 384, 384, 512, 512}, &tensors);
  return tensors;
}

struct TrunkCase {
  std::string test_name;
  std::string trunk;
  Tensors (*random)();
};

class LpipsTest : public testing::Test {
 protected:
  std::string Write(const Tensors& tensors) const {
    const std::string path = folder_ / "lpips.safetensors";
    EXPECT_TRUE(WriteSafeTensors({tensors, {}}, path).ok());
    return path;
  }
  std::string Refusal(const Tensors& tensors) const {
    return std::string(Lpips::Load(Write(tensors)).status().message());
  }

  TemporaryFolder folder_;
};

class LpipsTrunkTest : public LpipsTest, public testing::WithParamInterface<TrunkCase> {};

TEST_P(LpipsTrunkTest, AgreesWithThePublishedFormula) {
  torch::manual_seed(1);
  const Tensors weights = GetParam().random();
  const std::unique_ptr<Lpips> lpips = Lpips::Load(Write(weights)).value();
  EXPECT_EQ(lpips->trunk(), GetParam().trunk);
  ReferenceFolder reference;
  for (const auto& [name, weight] : weights) {
    reference.Write("weights/" + name, weight);
  }
  // Generated images may exceed [-1, 1]; the last two are similar.
  const torch::Tensor a = torch::rand({3, 3, 48, 48}) * 2 - 1;
  const torch::Tensor b = torch::cat({torch::randn({2, 3, 48, 48}), a.narrow(0, 2, 1) + 0.1});
  const torch::Tensor drawn = b.clone().requires_grad_(true);
  const torch::Tensor distance = lpips->Distance(drawn, a);
  EXPECT_EQ(distance.sizes(), torch::IntArrayRef({3}));
  distance.mean().backward();
  reference.Write("a", a);
  reference.Write("b", b);
  reference.Write("distance", distance);
  reference.Write("gradient", drawn.grad());
  const torch::Tensor grey = torch::rand({2, 1, 32, 32}) * 2 - 1;
  const torch::Tensor other = torch::rand({2, 1, 32, 32}) * 2 - 1;
  reference.Write("grey_a", grey);
  reference.Write("grey_b", other);
  reference.Write("grey_distance", lpips->Distance(grey, other));
  reference.CompareWith("tests/trainer/training/reference_lpips.py");
}

TEST_P(LpipsTrunkTest, GradientsAgreeWithFiniteDifferences) {
  torch::manual_seed(2);
  const std::unique_ptr<Lpips> lpips = Lpips::Load(Write(GetParam().random())).value();
  const torch::Tensor a = torch::rand({1, 3, 32, 32}, torch::kFloat64) * 2 - 1;
  const torch::Tensor b = (torch::rand_like(a) * 2 - 1).requires_grad_(true);
  lpips->Distance(a, b).sum().backward();
  torch::NoGradGuard no_grad;
  for (int trial = 0; trial < 3; ++trial) {
    const torch::Tensor direction = torch::randn_like(a) / std::sqrt(a.numel());
    constexpr double kStep = 1e-6;
    const double slope = (lpips->Distance(a, b + kStep * direction).item<double>() -
                          lpips->Distance(a, b - kStep * direction).item<double>()) /
                         (2 * kStep);
    const double expected = (b.grad() * direction).sum().item<double>();
    EXPECT_NEAR(slope, expected, 1e-4 * b.grad().norm().item<double>());
  }
}

TEST_P(LpipsTrunkTest, TheSmallestPicturesPassThrough) {
  const std::unique_ptr<Lpips> lpips = Lpips::Load(Write(GetParam().random())).value();
  const int64_t side = lpips->smallest_resolution();
  const torch::Tensor x = torch::rand({1, 3, side, side});
  EXPECT_EQ(lpips->Distance(x, x).item<float>(), 0);
  EXPECT_GT(lpips->Distance(x, -x).item<float>(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Trunks, LpipsTrunkTest,
    testing::Values(TrunkCase{"AlexNet", "AlexNet", RandomAlexNet},
                    TrunkCase{"Vgg16", "VGG16", RandomVgg16},
                    TrunkCase{"SqueezeNet", "SqueezeNet 1.1", RandomSqueezeNet}),
    [](const testing::TestParamInfo<TrunkCase>& tested) { return tested.param.test_name; });

TEST_F(LpipsTest, SilentPositionsHaveGradientsThatAreNumbers) {
  torch::manual_seed(3);
  Tensors tensors = RandomSqueezeNet();
  for (auto& [name, tensor] : tensors) {
    if (name.ends_with(".bias")) {
      tensor.fill_(-1e6);  // no channel is active anywhere
    }
  }
  const std::unique_ptr<Lpips> lpips = Lpips::Load(Write(tensors)).value();
  const torch::Tensor x = torch::rand({1, 3, 32, 32}).requires_grad_(true);
  const torch::Tensor distance = lpips->Distance(x, torch::rand({1, 3, 32, 32}));
  distance.sum().backward();
  EXPECT_EQ(distance.item<float>(), 0);
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

TEST_F(LpipsTest, RefusesWhatItIsNot) {
  const Tensors good = RandomSqueezeNet();
  const std::string path = folder_ / "lpips.safetensors";
  const auto changed = [&](const std::function<void(Tensors*)>& change) {
    Tensors tensors = good;
    change(&tensors);
    return Refusal(tensors);
  };
  EXPECT_THAT(changed([](Tensors* t) { t->erase("features.0.weight"); }),
              AllOf(HasSubstr(path), HasSubstr("features.0.weight"), HasSubstr("[64, 3, 11, 11]")));
  // SqueezeNet 1.0's first convolution.
  const auto reshaped = [&](const std::string& name, at::IntArrayRef shape) {
    return changed([&](Tensors* t) { (*t)[name] = torch::zeros(shape); });
  };
  EXPECT_THAT(reshaped("features.0.weight", {96, 3, 7, 7}),
              AllOf(HasSubstr(path), HasSubstr("features.0.weight has shape [96, 3, 7, 7]"),
                    HasSubstr("expected [64, 3, 11, 11] (AlexNet) or [64, 3, 3, 3]")));
  EXPECT_THAT(changed([](Tensors* t) { t->erase("features.12.expand3x3.bias"); }),
              AllOf(HasSubstr(path), HasSubstr("features.12.expand3x3.bias of shape [256]"),
                    HasSubstr("SqueezeNet 1.1")));
  EXPECT_THAT(changed([](Tensors* t) { t->erase("lin6.model.1.weight"); }),
              AllOf(HasSubstr(path), HasSubstr("lin6.model.1.weight")));
  EXPECT_THAT(reshaped("lin0.model.1.weight", {1, 128, 1, 1}),
              AllOf(HasSubstr(path), HasSubstr("lin0.model.1.weight has shape [1, 128, 1, 1]"),
                    HasSubstr("expected [1, 64, 1, 1]")));
  EXPECT_THAT(changed([](Tensors* t) { (*t)["classifier.1.weight"] = torch::zeros({1}); }),
              AllOf(HasSubstr(path), HasSubstr("classifier.1.weight")));
  EXPECT_THAT(
      changed([](Tensors* t) { (*t)["features.0.bias"] = torch::full({64}, std::nan("")); }),
      AllOf(HasSubstr(path), HasSubstr("features.0.bias"), HasSubstr("not finite")));
  EXPECT_THAT(std::string(Lpips::Load(folder_ / "none.safetensors").status().message()),
              HasSubstr("none.safetensors"));
}

constexpr char kConfig[] = R"({
  "model": {"resolution": 32,
            "generator": {"channels": [8, 8, 8, 8], "latentSize": 8, "mappingLayers": 1},
            "encoder": {"channels": [8, 8, 8, 8]},
            "discriminator": {"channels": [8, 8, 8, 8]},
            "classifier": {"widthMultiplier": 0.1}},
  "classifier": {"epochs": 1, "batchSize": 8},
  "stylex": {"images": 16, "batchSize": 4}
})";

std::string Bytes(const std::string& file) { return ReadFile(file).value_or(""); }

// Runs through the command line.
class LpipsRunTest : public LpipsTest {
 protected:
  std::string path(const std::string& name) { return folder_ / name; }

  int Run(const std::string& command, const std::string& work,
          const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        command, "--data",    path("data"), "--work-dir", path(work),         "--device",
        "cpu",   "--threads", "1",          "--config",   path("config.json")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    TrainerProcess process(arguments, path("output"));
    const int result = process.Wait();
    said_ = process.Output();
    return result;
  }

  int RunStylex(const std::string& work, std::vector<std::string> more) {
    more.insert(more.end(),
                {"--classifier", path("classifier"), "--output", path("models"), "--name", work});
    return Run("stylex", work, more);
  }

  std::string said_;
};

TEST_F(LpipsRunTest, SaysWhatItComparesBy) {
  DrawTwoClasses(path("data"), 8, 4);
  WriteBytes(path("config.json"), kConfig);
  torch::manual_seed(4);
  const std::string weights = Write(RandomSqueezeNet());
  const std::string text =
      absl::StrCat("LPIPS v0.1, SqueezeNet 1.1, weights ", Sha256(Bytes(weights)));
  ASSERT_EQ(Run("classifier", "classifier", {}), 0) << said_;
  ASSERT_EQ(RunStylex("with", {"--lpips-weights", weights}), 0) << said_;
  EXPECT_THAT(said_, HasSubstr(text));
  const std::string log = Bytes(path("with/log.jsonl"));
  EXPECT_THAT(log, AllOf(HasSubstr(text), HasSubstr("\"loss_lpips\":")));
  EXPECT_EQ(log.find("loss_perceptual"), std::string::npos);
  EXPECT_THAT(Bytes(path("models/with/1/README.md")), HasSubstr(text));
  const auto model = nlohmann::json::parse(Bytes(path("models/with/1/model.json")));
  EXPECT_EQ(model.at("provenance").at("perceptualLoss"), text);

  ASSERT_EQ(RunStylex("without", {}), 0) << said_;
  EXPECT_THAT(Bytes(path("without/log.jsonl")),
              AllOf(HasSubstr("the classifier's features"), HasSubstr("\"loss_perceptual\":")));
  EXPECT_THAT(Bytes(path("models/without/1/README.md")), HasSubstr("the classifier's features"));

  // Different weights, or none, are a different run and cannot be resumed.
  EXPECT_EQ(RunStylex("with", {"--lpips-weights", weights, "--resume"}), 0) << said_;
  EXPECT_EQ(RunStylex("with", {"--resume"}), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("stylex_state.pt"), HasSubstr("another configuration")));
  Write(RandomSqueezeNet());
  EXPECT_EQ(RunStylex("with", {"--lpips-weights", weights, "--resume"}), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("stylex_state.pt"), HasSubstr("another configuration")));
}

TEST_F(LpipsRunTest, RefusesImagesThatAreTooSmallForItsTrunk) {
  DrawTwoClasses(path("data"), 8, 4);
  torch::manual_seed(4);
  const std::string weights = Write(RandomSqueezeNet());
  std::string small = kConfig;
  small.replace(small.find("32"), 2, "16");
  for (size_t at; (at = small.find("[8, 8, 8, 8]")) != std::string::npos;) {
    small.replace(at, 12, "[8, 8, 8]");
  }
  WriteBytes(path("config.json"), small);
  ASSERT_EQ(Run("classifier", "small_classifier", {}), 0) << said_;
  EXPECT_EQ(Run("stylex", "small",
                {"--classifier", path("small_classifier"), "--output", path("models"), "--name",
                 "small", "--lpips-weights", weights}),
            1);
  EXPECT_THAT(said_, AllOf(HasSubstr(weights), HasSubstr("at least 32"), HasSubstr("16")));
}

}  // namespace
}  // namespace stylex
