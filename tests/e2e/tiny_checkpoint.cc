#include "tests/e2e/tiny_checkpoint.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <torch/script.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>

#include "explain/style_space.h"
#include "models/checkpoint.h"

namespace stylex {
namespace {

constexpr int kResolution = 16;
constexpr int kClasses = 3;
constexpr int kStoredAttributes = 5;

// Logits (dark, medium, bright) of the mean pixel m in [-1, 1]: -8 m, 1 - 8 |m|, 8 m.
constexpr char kBrightnessClassifier[] = R"(
def forward(self, images):
    m = images.mean([1, 2, 3])
    return torch.stack([-8.0 * m, 1.0 - 8.0 * m.abs(), 8.0 * m], 1)
)";

// The same, but dark images (mean below -0.82) take hours.
constexpr char kStallingClassifier[] = R"(
def forward(self, images):
    m = images.mean([1, 2, 3])
    if bool((m < -0.82).any()):
        k = 0
        while k < 1000000000000:
            k = k + 1
    return torch.stack([-8.0 * m, 1.0 - 8.0 * m.abs(), 8.0 * m], 1)
)";

// The same, but each image's brightness is relative to the batch's.
constexpr char kComparingClassifier[] = R"(
def forward(self, images):
    m = images.mean([1, 2, 3])
    if images.size(0) > 1:
        m = m - m.mean()
    return torch.stack([-8.0 * m, 1.0 - 8.0 * m.abs(), 8.0 * m], 1)
)";

v1::ModelConfig MakeConfig(const TinyCheckpoint& tiny) {
  v1::ModelConfig config;
  config.set_schema_version(1);
  config.set_name(tiny.name);
  config.set_description("random networks for tests");
  config.set_resolution(kResolution);
  config.set_image_channels(tiny.image_channels);
  for (const char* label : {"dark", "medium", "bright"}) {
    config.add_labels(label);
  }
  for (int i = 0; i < 3; ++i) {
    config.mutable_generator()->add_channels(tiny.channels);
    config.mutable_encoder()->add_channels(tiny.channels);
    config.mutable_discriminator()->add_channels(tiny.channels);
  }
  config.mutable_generator()->set_latent_size(8);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  config.mutable_generator()->set_components(tiny.components);
  if (!tiny.with_encoder) {
    config.clear_encoder();
    config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
    config.mutable_generator()->set_mapping_layers(1);
    config.mutable_generator()->set_mapping_lr_multiplier(0.01);
  }
  config.mutable_classifier()->set_architecture(tiny.built_in_classifier ? "mobilenet_v2"
                                                                         : "torchscript");
  config.mutable_classifier()->set_width_multiplier(tiny.built_in_classifier ? 0.25 : 0);
  config.mutable_provenance()->set_dataset("none");
  if (tiny.knows_errors) {
    v1::ReconstructionErrors* errors = config.mutable_reconstruction_errors();
    errors->set_images(2);
    for (const double value : {0.0, 1e-6}) {
      errors->add_l1(value);
      errors->add_dissimilarity(value);
      errors->add_kl(value);
    }
    errors->add_worst_rank(0);
    errors->add_worst_rank(1);
  }
  (*config.mutable_metrics())["agreement"] = 0.5;
  return config;
}

// Ranges over random latents, wide enough that moves change the brightness.
v1::AttributeIndex MakeIndex(const Networks& networks) {
  StyleRangeAccumulator ranges;
  const torch::Tensor w = torch::randn({256, networks.generator.ptr()->w_size()}) * 3;
  ranges.Add(networks.generator.ptr()->styles(w).conv);
  v1::AttributeIndex index;
  index.set_schema_version(1);
  RangesToIndex(ranges.Finish(), &index);
  index.set_search_images(64);
  index.set_shift(1);
  index.set_strategy(v1::STRATEGY_INDEPENDENT);
  const StyleLayout& layout = networks.generator.ptr()->layout();
  for (int k = 0; k < kClasses; ++k) {
    v1::ClassAttributes* of_class = index.add_classes();
    of_class->set_class_id(k);
    of_class->set_images(64);
    for (int i = 0; i < kStoredAttributes; ++i) {
      v1::Attribute* attribute = of_class->add_attributes();
      const int64_t coordinate = (kStoredAttributes * k + i) % layout.num_conv();
      attribute->set_index(static_cast<int32_t>(coordinate));
      attribute->set_layer(static_cast<int32_t>(layout.LayerOf(coordinate)));
      attribute->set_channel(static_cast<int32_t>(layout.ChannelOf(coordinate)));
      attribute->set_direction(i % 2 == 0 ? v1::DIRECTION_TO_MAX : v1::DIRECTION_TO_MIN);
      attribute->set_mean_effect(kStoredAttributes - i);
      attribute->set_flip_rate(0.1);
    }
  }
  index.mutable_classes(0)->mutable_attributes(0)->set_name("gloom");
  return index;
}

}  // namespace

std::string WriteTinyCheckpoint(const std::string& root, const TinyCheckpoint& tiny) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(tiny.seed);
  CheckpointToWrite checkpoint;
  checkpoint.config = MakeConfig(tiny);
  checkpoint.networks = Networks::Make(checkpoint.config);
  if (tiny.components > 0) {
    const LatentBasis& basis = checkpoint.networks.generator->latent_basis();
    basis.basis.normal_();
    basis.readout.copy_(torch::linalg_inv(basis.basis));
  }
  const TemporaryFolder scratch;
  if (tiny.built_in_classifier) {
    checkpoint.classifier = MobileNetV2(tiny.image_channels, kClasses, 0.25);
  } else {
    torch::jit::Module classifier("Brightness");
    classifier.define(tiny.stalls     ? kStallingClassifier
                      : tiny.compares ? kComparingClassifier
                                      : kBrightnessClassifier);
    checkpoint.torchscript_classifier = scratch.path() + "/classifier.pt";
    classifier.save(checkpoint.torchscript_classifier);
  }
  if (tiny.with_index) {
    checkpoint.attributes = MakeIndex(checkpoint.networks);
  }
  checkpoint.model_card = "# Random networks for tests\n";
  const absl::StatusOr<std::string> path =
      WriteCheckpoint(checkpoint, root, tiny.name, tiny.version, /*replace=*/false);
  EXPECT_TRUE(path.ok()) << path.status();
  return path.ok() ? *path : "";
}

}  // namespace stylex
