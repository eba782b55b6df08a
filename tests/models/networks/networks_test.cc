// Numerics of the networks compared with PyTorch, and the generator's guarantees for edited styles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/stylex.h"
#include "tests/models/reference_folder.h"

namespace stylex {
namespace {

using testing::ElementsAre;

constexpr double kTolerance = 1e-5;

double GreatestDifference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

v1::ModelConfig Config(int resolution, int image_channels, const std::vector<int>& channels) {
  v1::ModelConfig config;
  config.set_resolution(resolution);
  config.set_image_channels(image_channels);
  for (const char* label : {"a", "b", "c"}) {
    config.add_labels(label);
  }
  for (const int width : channels) {
    config.mutable_generator()->add_channels(width);
    config.mutable_encoder()->add_channels(width);
    config.mutable_discriminator()->add_channels(width);
  }
  config.mutable_generator()->set_latent_size(10);
  return config;
}

v1::ModelConfig SmallRgb() {
  v1::ModelConfig config = Config(16, 3, {16, 12, 8});
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  config.mutable_generator()->set_mapping_layers(3);
  config.mutable_generator()->set_mapping_lr_multiplier(0.01);
  config.mutable_discriminator()->set_conditional(true);
  config.mutable_discriminator()->set_minibatch_stddev_group(4);
  return config;
}

v1::ModelConfig Grey() {
  v1::ModelConfig config = Config(32, 1, {8, 16, 12, 8});
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  config.mutable_encoder()->set_minibatch_stddev(true);
  return config;
}

// Initial weights are too simple: zero biases and noise would hide mistakes.
void Disturb(std::string_view name, torch::Tensor* tensor) {
  if (absl::EndsWith(absl::string_view(name.data(), name.size()), "running_var")) {
    tensor->uniform_(0.5, 1.5);
  } else if (tensor->is_floating_point() && tensor->dim() <= 1) {
    tensor->add_(torch::randn_like(*tensor) * 0.3);
  }
}

Generator MakeGenerator(const v1::ModelConfig& config) {
  torch::NoGradGuard no_grad;
  Networks networks = Networks::Make(config);
  for (auto& [name, tensor] : networks.NamedTensors()) {
    Disturb(name, &tensor);
  }
  return networks.generator;
}

class ReferenceCase {
 public:
  ReferenceCase(std::string name, ReferenceFolder* folder)
      : name_(std::move(name)), folder_(folder) {}

  void Write(const std::string& what, const torch::Tensor& tensor) {
    folder_->Write(absl::StrCat(name_, "/", what), tensor);
  }
  void WriteWeights(const std::string& prefix, const torch::nn::Module& module) {
    for (auto& item : module.named_parameters()) {
      Disturb(item.key(), &item.value());
      Write(absl::StrCat("weights/", prefix, ".", item.key()), item.value());
    }
    for (auto& item : module.named_buffers()) {
      if (item.value().is_floating_point()) {
        Disturb(item.key(), &item.value());
        Write(absl::StrCat("weights/", prefix, ".", item.key()), item.value());
      }
    }
  }

 private:
  std::string name_;
  ReferenceFolder* folder_;
};

void WriteCase(const std::string& name, const v1::ModelConfig& config, ReferenceFolder* folder) {
  torch::NoGradGuard no_grad;
  ReferenceCase reference(name, folder);
  constexpr int64_t kImages = 8;  // two groups of four for the minibatch-stddev channel
  Networks networks = Networks::Make(config);
  Discriminator discriminator(config.discriminator(), config.image_channels(),
                              config.labels_size());
  MobileNetV2 classifier(config.image_channels(), config.labels_size());
  torch::nn::init::normal_(classifier->named_parameters()["classifier.1.weight"], 0, 0.3);
  classifier->eval();
  reference.WriteWeights("generator", *networks.generator);
  reference.WriteWeights("encoder", *networks.encoder);
  reference.WriteWeights("discriminator", *discriminator);
  reference.WriteWeights("classifier", *classifier);

  const Generator& generator = networks.generator;
  const torch::Tensor w = torch::randn({kImages, generator.ptr()->w_size()});
  const StyleVectors styles = generator.ptr()->styles(w);
  reference.Write("w", w);
  reference.Write("conv_styles", styles.conv);
  reference.Write("rgb_styles", styles.rgb);
  reference.Write("image", generator.ptr()->synthesize(styles, Noise::kFixed));
  const torch::Tensor mixed =
      torch::randn({kImages, generator.ptr()->num_latents(), generator.ptr()->w_size()});
  const StyleVectors mixed_styles = generator.ptr()->styles(mixed);
  reference.Write("mixed_w", mixed);
  reference.Write("mixed_conv_styles", mixed_styles.conv);
  reference.Write("mixed_rgb_styles", mixed_styles.rgb);

  const int64_t side = config.resolution();
  const torch::Tensor x = torch::rand({kImages, config.image_channels(), side, side}) * 2 - 1;
  const torch::Tensor probabilities =
      torch::softmax(torch::randn({kImages, config.labels_size()}), 1);
  reference.Write("x", x);
  reference.Write("probabilities", probabilities);
  reference.Write("latent", networks.encoder->forward(x));
  reference.Write("encoder_stddev_group",
                  torch::tensor(config.encoder().minibatch_stddev() ? 4.f : 0.f));
  reference.Write("scores", discriminator->forward(x, probabilities));
  reference.Write(
      "discriminator_stddev_group",
      torch::tensor(static_cast<float>(config.discriminator().minibatch_stddev_group())));
  if (!networks.mapping.is_empty()) {
    reference.WriteWeights("mapping", *networks.mapping);
    const torch::Tensor z = torch::randn({kImages, config.generator().latent_size()});
    reference.Write("z", z);
    reference.Write("mapped", networks.mapping->forward(z));
    reference.Write("mapping_lr_multiplier",
                    torch::tensor(config.generator().mapping_lr_multiplier()));
  }
  const MobileNetV2Impl::Features features = classifier->ForwardWithFeatures(x);
  reference.Write("logits", features.logits);
  for (size_t i = 0; i < features.taps.size(); ++i) {
    reference.Write(absl::StrCat("tap", i), features.taps[i]);
  }
}

// Conditional and not, with the minibatch-stddev channel in one network and in the other, with a
// mapping network and without, RGB and grey.
TEST(NetworksTest, AgreeWithPyTorch) {
  torch::manual_seed(1);
  ReferenceFolder folder;
  WriteCase("small_rgb", SmallRgb(), &folder);
  WriteCase("grey", Grey(), &folder);
  folder.CompareWith("tests/models/networks/reference_networks.py");
}

TEST(StyleLayoutTest, IsTheInputsOfTheConvolutions) {
  const Generator generator = MakeGenerator(Grey());
  const StyleLayout& layout = generator.ptr()->layout();
  EXPECT_THAT(layout.conv, ElementsAre(8, 8, 16, 16, 12, 12, 8));
  EXPECT_THAT(layout.rgb, ElementsAre(8, 16, 12, 8));
  EXPECT_EQ(layout.num_conv(), 80);
  EXPECT_EQ(layout.num_rgb(), 44);
  EXPECT_EQ(generator.ptr()->num_latents(), 8);
}

TEST(StyleLayoutTest, FindsEachCoordinate) {
  const Generator generator = MakeGenerator(Grey());
  const StyleLayout& layout = generator.ptr()->layout();
  int64_t index = 0;
  for (int64_t layer = 0; layer < 7; ++layer) {
    EXPECT_EQ(layout.Offset(layer), index);
    for (int64_t channel = 0; channel < layout.conv[layer]; ++channel, ++index) {
      EXPECT_EQ(layout.LayerOf(index), layer);
      EXPECT_EQ(layout.ChannelOf(index), channel);
    }
  }
  EXPECT_THROW(layout.LayerOf(-1), c10::Error);
  EXPECT_THROW(layout.LayerOf(index), c10::Error);
}

TEST(StyleVectorsTest, SelectNarrowAndExpand) {
  const StyleVectors styles{torch::rand({3, 5}), torch::rand({3, 2})};
  const StyleVectors selected = styles.Select(torch::tensor({2, 0, 2}, torch::kInt64));
  EXPECT_TRUE(selected.conv[0].equal(styles.conv[2]));
  EXPECT_TRUE(selected.rgb[1].equal(styles.rgb[0]));
  const StyleVectors one = styles.Narrow(1, 1);
  const StyleVectors many = one.Expand(4);
  EXPECT_EQ(many.rgb.size(0), 4);
  EXPECT_TRUE(many.conv[3].equal(styles.conv[1]));
}

class SynthesizeFromTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Colours, SynthesizeFromTest, testing::Bool());

TEST_P(SynthesizeFromTest, EveryLayerGivesTheWholePassesImage) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  Generator generator = MakeGenerator(GetParam() ? SmallRgb() : Grey());
  const StyleLayout& layout = generator->layout();
  const StyleVectors base = generator->styles(torch::randn({3, generator->w_size()}));
  const SynthesisTrace trace_of_all = generator->Trace(base);
  EXPECT_LT(GreatestDifference(trace_of_all.image, generator->synthesize(base, Noise::kFixed)),
            kTolerance);
  const SynthesisTrace trace_of_one = generator->Trace(base.Narrow(1, 1));
  for (int64_t layer = 0; layer < static_cast<int64_t>(layout.conv.size()); ++layer) {
    const auto changed = [&](StyleVectors styles) {
      styles.conv = styles.conv.clone();
      styles.conv.narrow(1, layout.Offset(layer), layout.num_conv() - layout.Offset(layer))
          .add_(torch::randn({styles.conv.size(0), 1}));
      return styles;
    };
    // As many images as the trace has, and many variants of one image.
    const StyleVectors moved = changed(base);
    const StyleVectors variants = changed(base.Narrow(1, 1).Expand(5));
    for (const auto& [trace, styles] : {std::pair(trace_of_all, moved), {trace_of_one, variants}}) {
      const torch::Tensor whole = generator->synthesize(styles, Noise::kFixed);
      EXPECT_LT(GreatestDifference(generator->SynthesizeFrom(layer, trace, styles), whole),
                kTolerance * whole.abs().max().item<double>())
          << "layer " << layer;
      EXPECT_GT(GreatestDifference(whole[0], trace.image[0]), 1e-3) << "nothing has changed";
    }
  }
}

TEST(ComponentsTest, AreWInAnotherBasis) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  v1::GeneratorConfig config;
  for (int i = 0; i < 3; ++i) {
    config.add_channels(6);
  }
  constexpr int64_t kW = 7;
  Generator plain(config, kW, 16, 3);
  config.set_components(4);
  Generator generator(config, kW, 16, 3);
  const auto source = plain->named_parameters();
  for (auto& item : generator->named_parameters()) {
    item.value().copy_(source[item.key()]);
  }
  const auto buffers = plain->named_buffers();
  const LatentBasis& basis = generator->latent_basis();
  for (auto& item : generator->named_buffers()) {
    if (buffers.contains(item.key())) {
      item.value().copy_(buffers[item.key()]);
    }
  }
  basis.mean.normal_();
  basis.basis.normal_();
  basis.readout.copy_(torch::linalg_inv(basis.basis));

  EXPECT_EQ(generator->layout().conv, std::vector<int64_t>{4});
  EXPECT_EQ(generator->layout().rgb, std::vector<int64_t>{3});
  EXPECT_EQ(generator->channel_layout().conv, plain->layout().conv);
  EXPECT_EQ(generator->num_latents(), plain->num_latents());
  const torch::Tensor w = torch::randn({2, kW});
  const StyleVectors styles = generator->styles(w);
  const auto image_of = [&](const torch::Tensor& latents) {
    return plain->synthesize(plain->styles(latents), Noise::kFixed);
  };
  const torch::Tensor image = image_of(w);
  const double tolerance = 1e-4 * image.abs().max().item<double>();
  EXPECT_LT(GreatestDifference(generator->synthesize(styles, Noise::kFixed), image), tolerance);
  // A move along a component changes every layer along its direction.
  StyleVectors moved = styles;
  moved.conv = styles.conv.clone();
  moved.conv.select(1, 2) += 1.5;
  const torch::Tensor expected = image_of(w + 1.5 * basis.basis[2]);
  EXPECT_GT(GreatestDifference(expected, image), 100 * tolerance) << "nothing has moved";
  EXPECT_LT(GreatestDifference(generator->synthesize(moved, Noise::kFixed), expected), tolerance);
  const SynthesisTrace trace = generator->Trace(styles);
  EXPECT_LT(GreatestDifference(generator->SynthesizeFrom(0, trace, moved), expected), tolerance);
  EXPECT_THROW(generator->SynthesizeFrom(1, trace, moved), c10::Error);
  EXPECT_THROW(generator->styles(torch::randn({1, generator->num_latents(), kW})), c10::Error);
}

TEST(NoiseTest, FixedNoiseIsTheSameForEveryImageAndPass) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  Generator generator = MakeGenerator(SmallRgb());
  const StyleVectors styles = generator->styles(torch::randn({1, generator->w_size()})).Expand(2);
  const torch::Tensor first = generator->synthesize(styles, Noise::kFixed);
  torch::rand({1});  // whatever the random numbers' generator has given
  EXPECT_TRUE(first.equal(generator->synthesize(styles, Noise::kFixed)));
  EXPECT_LT(GreatestDifference(first[0], first[1]), kTolerance);
}

TEST(NoiseTest, RandomNoiseIsFreshAndFollowsTheSeed) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  Generator generator = MakeGenerator(SmallRgb());
  const StyleVectors styles = generator->styles(torch::randn({1, generator->w_size()})).Expand(2);
  torch::manual_seed(5);
  const torch::Tensor first = generator->synthesize(styles, Noise::kRandom);
  const torch::Tensor second = generator->synthesize(styles, Noise::kRandom);
  torch::manual_seed(5);
  EXPECT_TRUE(first.equal(generator->synthesize(styles, Noise::kRandom)));
  EXPECT_GT(GreatestDifference(first, second), 1e-2);
  EXPECT_GT(GreatestDifference(first[0], first[1]), 1e-2);  // each image has its own
}

TEST(NoiseTest, OfStrengthZeroIsNone) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  Generator generator = MakeGenerator(SmallRgb());
  for (auto& item : generator->named_parameters()) {
    if (absl::EndsWith(item.key(), "_noise_strength")) {
      item.value().zero_();
    }
  }
  const StyleVectors styles = generator->styles(torch::randn({2, generator->w_size()}));
  EXPECT_LT(GreatestDifference(generator->synthesize(styles, Noise::kFixed),
                               generator->synthesize(styles, Noise::kRandom)),
            kTolerance);
}

TEST(GeneratorTest, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Networks::Make(Config(64, 3, {8, 8, 8})), c10::Error);
  Generator generator = MakeGenerator(SmallRgb());
  EXPECT_THROW(generator->styles(torch::zeros({1, generator->w_size() + 1})), c10::Error);
}

TEST(ConditionTest, IsWhatTheConfigSays) {
  v1::ModelConfig config = SmallRgb();
  const torch::Tensor logits = torch::tensor({{1.f, 2.f, 3.f}});
  EXPECT_EQ(ConditionSize(config), 3);
  EXPECT_TRUE(Condition(config, logits).allclose(torch::softmax(logits, 1)));
  config.mutable_generator()->set_condition_scale(0.5);
  EXPECT_TRUE(Condition(config, logits).allclose(torch::softmax(logits, 1) / 2));
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_LOGITS);
  EXPECT_TRUE(Condition(config, logits).allclose(logits / 2));
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  EXPECT_EQ(ConditionSize(config), 0);
  EXPECT_EQ(Condition(config, logits).numel(), 0);
}

}  // namespace
}  // namespace stylex
