#include "models/stylex.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "models/checkpoint/model_config.h"

namespace stylex {
namespace {

void AddTensors(const std::string& prefix, const torch::nn::Module& module,
                std::map<std::string, torch::Tensor>* tensors) {
  for (const auto& item : module.named_parameters()) {
    (*tensors)[absl::StrCat(prefix, ".", item.key())] = item.value();
  }
  for (const auto& item : module.named_buffers()) {
    (*tensors)[absl::StrCat(prefix, ".", item.key())] = item.value();
  }
}

}  // namespace

int64_t ConditionSize(const v1::ModelConfig& config) {
  return config.generator().conditioning() == v1::CONDITIONING_NONE ? 0 : config.labels_size();
}

torch::Tensor Condition(const v1::ModelConfig& config, const torch::Tensor& logits) {
  const double scale =
      config.generator().condition_scale() == 0 ? 1 : config.generator().condition_scale();
  switch (config.generator().conditioning()) {
    case v1::CONDITIONING_NONE:
      return logits.new_empty({logits.size(0), 0});
    case v1::CONDITIONING_LOGITS:
      return logits * scale;
    default:
      return torch::softmax(logits, 1) * scale;
  }
}

Networks Networks::Make(const v1::ModelConfig& config) {
  Networks networks;
  const v1::GeneratorConfig& generator = config.generator();
  networks.generator = Generator(generator, generator.latent_size() + ConditionSize(config),
                                 config.resolution(), config.image_channels());
  if (HasEncoder(config)) {
    networks.encoder = Encoder(config.encoder(), config.image_channels(), generator.latent_size());
  }
  if (generator.mapping_layers() > 0) {
    networks.mapping = Mapping(generator.latent_size(), generator.mapping_layers(),
                               generator.mapping_lr_multiplier());
  }
  return networks;
}

std::map<std::string, torch::Tensor> Networks::NamedTensors() const {
  std::map<std::string, torch::Tensor> tensors;
  AddTensors("generator", *generator, &tensors);
  if (!encoder.is_empty()) {
    AddTensors("encoder", *encoder, &tensors);
  }
  if (!mapping.is_empty()) {
    AddTensors("mapping", *mapping, &tensors);
  }
  return tensors;
}

void Networks::To(const torch::Device& device) {
  generator->to(device);
  if (!encoder.is_empty()) {
    encoder->to(device);
  }
  if (!mapping.is_empty()) {
    mapping->to(device);
  }
}

void Networks::SetTrainable(bool trainable) {
  for (auto& [name, tensor] : NamedTensors()) {
    if (tensor.is_leaf() && tensor.is_floating_point()) {
      const bool is_buffer = name.ends_with("_noise") || name.ends_with("fir_kernel") ||
                             name.starts_with("generator.components_");
      tensor.requires_grad_(trainable && !is_buffer);
    }
  }
}

void Stylex::To(const torch::Device& device) {
  networks_.To(device);
  classifier_->To(device);
  device_ = device;
  plan_ = std::make_shared<PlanOnce>();
}

std::shared_ptr<const SynthesisPlan> Stylex::Plan() const {
  std::call_once(plan_->once, [this] {
    plan_->plan = std::make_shared<const SynthesisPlan>(*networks_.generator);
  });
  return plan_->plan;
}

torch::Tensor Stylex::Encode(const torch::Tensor& images, const torch::Tensor& logits) const {
  TORCH_CHECK(has_encoder(), "a plain StyleGAN2 encodes nothing");
  const torch::Tensor latent = networks_.encoder.ptr()->forward(images);
  return torch::cat({latent, Condition(config_, logits)}, 1);
}

torch::Tensor Stylex::Map(const torch::Tensor& z) const {
  TORCH_CHECK(!networks_.mapping.is_empty() && ConditionSize(config_) == 0,
              "a model with a condition draws nothing from z alone");
  return networks_.mapping.ptr()->forward(z);
}

torch::Tensor Stylex::Synthesize(const StyleVectors& styles) const {
  if (device_.is_cpu() && !torch::GradMode::is_enabled() &&
      styles.conv.scalar_type() == torch::kFloat32) {
    const std::shared_ptr<const SynthesisPlan> plan = Plan();
    return stylex::Synthesize(*plan, plan->ChannelStyles(styles)).clamp_(-1, 1);
  }
  return networks_.generator.ptr()->synthesize(styles, Noise::kFixed).clamp(-1, 1);
}

torch::Tensor Stylex::SynthesizeFrom(int64_t layer, const SynthesisTrace& trace,
                                     const StyleVectors& styles) const {
  return networks_.generator.ptr()->SynthesizeFrom(layer, trace, styles).clamp(-1, 1);
}

int64_t Stylex::NumParameters() const {
  int64_t count = classifier_->NumParameters();
  for (const torch::Tensor& parameter : networks_.generator->parameters()) {
    count += parameter.numel();
  }
  const std::vector<torch::Tensor> latents_by =
      has_encoder() ? networks_.encoder->parameters() : networks_.mapping->parameters();
  for (const torch::Tensor& parameter : latents_by) {
    count += parameter.numel();
  }
  return count;
}

}  // namespace stylex
