// The bundle that is trained, stored and served: encoder, generator, mapping network and the frozen
// classifier that they explain (StylEx, Lang et al. 2021, §3).
//
//   Stylex model = ...;                                   // models/checkpoint.h loads one
//   torch::Tensor logits = model.Logits(images);          // what the classifier says
//   torch::Tensor w = model.Encode(images, logits);       // latent, with the condition
//   StyleVectors styles = model.Styles(w);                // edit these
//   torch::Tensor drawn = model.Synthesize(styles);       // [N, C, R, R] in [-1, 1]
//
// A plain StyleGAN2 has no encoder; it draws images from z, w = model.Map(z).
//
// Everything here is for inference: no gradients into the weights unless the caller asks, fixed
// noise, images clamped to [-1, 1]. Thread-safe once loaded. Copies share the networks.
#ifndef STYLEX_MODELS_STYLEX_H_
#define STYLEX_MODELS_STYLEX_H_

#include <torch/types.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "models/classifier.h"
#include "models/cpu/synthesis.h"
#include "models/networks/discriminator.h"
#include "models/networks/generator.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// Length of the condition that is concatenated to the latent.
int64_t ConditionSize(const v1::ModelConfig& config);

// condition_scale * softmax(logits) or logits, [N, ConditionSize]; [N, 0] with CONDITIONING_NONE.
torch::Tensor Condition(const v1::ModelConfig& config, const torch::Tensor& logits);

// The trainable part.
struct Networks {
  Generator generator{nullptr};
  Encoder encoder{nullptr};  // null when the config has no encoder
  Mapping mapping{nullptr};  // null when the config has no mapping layers

  // Randomly initialised with LibTorch's default generator.
  static Networks Make(const v1::ModelConfig& config);
  // Parameters and buffers under the names that checkpoints use: "generator.…", "encoder.…",
  // "mapping.…". The tensors are the networks' own.
  std::map<std::string, torch::Tensor> NamedTensors() const;
  // Moves all networks; not thread-safe.
  void To(const torch::Device& device);
  // Sets requires_grad of all parameters.
  void SetTrainable(bool trainable);
};

class Stylex {
 public:
  // `networks` are of a checked `config`, and on the CPU.
  Stylex(v1::ModelConfig config, Networks networks, std::shared_ptr<Classifier> classifier)
      : config_(std::move(config)),
        networks_(std::move(networks)),
        classifier_(std::move(classifier)) {}

  const v1::ModelConfig& config() const { return config_; }
  const StyleLayout& layout() const { return networks_.generator.ptr()->layout(); }
  // Whether style coordinates are directions of w, each of which affects every layer, instead of
  // channels.
  bool has_components() const { return networks_.generator.ptr()->has_components(); }
  const Networks& networks() const { return networks_; }
  const Classifier& classifier() const { return *classifier_; }
  // K, the number of labels.
  int64_t num_classes() const { return config_.labels_size(); }
  // Divides logits where probabilities are told or asked for; see ClassifierConfig.
  double probability_temperature() const {
    const double temperature = config_.classifier().probability_temperature();
    return temperature > 0 ? temperature : 1;
  }
  // W: latent and condition.
  int64_t w_size() const { return networks_.generator.ptr()->w_size(); }
  torch::Device device() const { return device_; }
  // Moves networks and classifier; not thread-safe.
  void To(const torch::Device& device);

  // [N, C, R, R] in [-1, 1] -> [N, K].
  torch::Tensor Logits(const torch::Tensor& images) const { return classifier_->Logits(images); }
  // False for a plain StyleGAN2, which reconstructs nothing.
  bool has_encoder() const { return !networks_.encoder.is_empty(); }
  // w = (E(x), condition(C(x))): [N, w_size()]. Only with has_encoder().
  torch::Tensor Encode(const torch::Tensor& images, const torch::Tensor& logits) const;
  // w = f(z), [N, w_size()], of z ~ N(0, 1) [N, latent_size]. Requires a mapping network and no
  // condition, as in models without an encoder.
  torch::Tensor Map(const torch::Tensor& z) const;
  // [N, w_size()] -> styles of N images.
  StyleVectors Styles(const torch::Tensor& w) const { return networks_.generator.ptr()->styles(w); }
  // The channels' styles that belong to `styles`; without components these themselves.
  StyleVectors ChannelStyles(const StyleVectors& styles) const {
    return networks_.generator.ptr()->ChannelStyles(styles);
  }
  // Styles of the reconstructions of images [N, C, R, R], which may be on any device.
  StyleVectors StylesOfImages(const torch::Tensor& images) const {
    const torch::Tensor x = images.to(device_);
    return Styles(Encode(x, Logits(x)));
  }
  // Clamped to [-1, 1]. Without gradients and on the CPU by Plan(): weights that change after its
  // first use change nothing.
  torch::Tensor Synthesize(const StyleVectors& styles) const;
  // Logits of the images synthesized from the styles.
  torch::Tensor LogitsOfStyles(const StyleVectors& styles) const {
    return Logits(Synthesize(styles));
  }
  // One image's activations, as input of SynthesizeFrom.
  SynthesisTrace Trace(const StyleVectors& styles) const {
    return networks_.generator.ptr()->Trace(styles);
  }
  // See GeneratorImpl::SynthesizeFrom; clamped.
  torch::Tensor SynthesizeFrom(int64_t layer, const SynthesisTrace& trace,
                               const StyleVectors& styles) const;

  // The generator's weights in the layout that synthesis on the CPU uses
  // (models/cpu/synthesis.h), copied at the first call; only for models on the CPU.
  std::shared_ptr<const SynthesisPlan> Plan() const;

  // Count of weights of classifier, generator, and encoder or mapping network.
  int64_t NumParameters() const;

 private:
  struct PlanOnce {
    std::once_flag once;
    std::shared_ptr<const SynthesisPlan> plan;
  };

  v1::ModelConfig config_;
  Networks networks_;
  std::shared_ptr<Classifier> classifier_;
  torch::Device device_ = torch::kCPU;
  std::shared_ptr<PlanOnce> plan_ = std::make_shared<PlanOnce>();
};

}  // namespace stylex

#endif  // STYLEX_MODELS_STYLEX_H_
