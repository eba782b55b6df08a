// Training of generator, encoder, mapping network and discriminator around a frozen classifier
// (StylEx, Lang et al. 2021, §3.1), and of a plain StyleGAN2 for comparison: a config without an
// encoder, whose batches all come from the mapping network and whose losses do not use the
// classifier.
#ifndef STYLEX_TRAINER_TRAINING_STYLEX_TRAINING_H_
#define STYLEX_TRAINER_TRAINING_STYLEX_TRAINING_H_

#include <torch/optim/adam.h>
#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "models/checkpoint.h"
#include "models/stylex.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/training/lpips.h"
#include "trainer/training/precision.h"
#include "trainer/training/training_state.h"

namespace stylex {

// Scalars of one step, for the log: "loss_d", "loss_l1", ...
using StepMetrics = std::map<std::string, double>;

// Networks, optimisers and steps of a run. A step is a function of (config, seed, step, batch)
// alone, so that a resumed run gives the same weights as an uninterrupted one: bit for bit on a CPU
// with the same thread count, up to rounding on a GPU.
class StylexTraining {
 public:
  // Draws initial weights from `seed`. `config` must be resolved and contain the data's labels.
  // Without `lpips` the perceptual loss uses the classifier's features, if it has any.
  StylexTraining(const v1::TrainConfig& config, std::shared_ptr<Classifier> classifier,
                 std::shared_ptr<const Lpips> lpips, uint64_t seed, const torch::Device& device);

  // Starts from the networks of an earlier training, of the same resolution or a smaller one: they
  // become the networks and their average; discriminator and optimisers start from scratch. Layers
  // that a smaller resolution lacks keep their random weights, except that the new to_rgb layers
  // start at zero, so that the generator initially gives the earlier one's images, enlarged (Karras
  // et al. 2018). INVALID_ARGUMENT when a layer has a different shape; nothing is changed then.
  // Call it before the first step, and before State() when resuming such a run.
  absl::Status StartFrom(const Checkpoint& earlier);

  // From the next step on; float32 before.
  void SetPrecision(Precision precision) { precision_ = precision; }

  // One step on images [B, C, R, R] in [-1, 1]: discriminator, (R1,) generator with encoder or
  // mapping network, (path length,) averaged copy. Metrics are empty unless `want_metrics`, because
  // reading a scalar synchronises with the device.
  StepMetrics Step(const torch::Tensor& images, bool want_metrics);

  int64_t step() const { return step_; }
  // Images in all steps so far.
  int64_t images_seen() const { return step_ * config_.stylex().batch_size(); }
  // Whether the config asks for no more.
  bool done() const { return images_seen() >= config_.stylex().images(); }

  // The averaged networks with the classifier: the model that is exported.
  Stylex Averaged() const;
  const Networks& averaged_networks() const { return averaged_; }

  // SHA-256 of the weights that StartFrom took; empty: random ones.
  const std::string& started_from() const { return started_from_; }
  // From now on learning rates are half of what they were; how often that was said, the state
  // keeps.
  void HalveLearningRates() { ++halvings_; }
  int64_t halvings() const { return halvings_; }

  // Logits of images [N, C, R, R] by the frozen classifier.
  torch::Tensor Logits(const torch::Tensor& images) const {
    return classifier_->Logits(images.to(device_));
  }

  // Everything needed to resume but the record of the run; refers to this object's tensors and
  // optimisers.
  TrainingState State();
  // Takes over the counters of a State() that LoadTrainingState(path, &state) has filled.
  void Restore(const TrainingState& state);

 private:
  // See StylexTraining.constant_to_rgb and without_noise: sets these tensors to 0 and trains them
  // no further, as far as the config asks for it.
  void SilenceTensors();
  // Sets the strengths of the finest noise to the config's noise_start, if that is given.
  void StartNoise();

  struct RealBatch {
    torch::Tensor images;
    // The classifier's logits; undefined without an encoder.
    torch::Tensor logits;
    torch::Tensor probabilities;
    std::vector<torch::Tensor> taps;
  };
  // Where a batch's latents and conditions come from.
  enum class Source {
    kReconstruction,  // an image, conditioned on its decision
    kSwapped,         // an image, conditioned on another one's decision
    kMapping,         // z and an image's decision, or z alone without an encoder
  };
  struct Drawn {
    Source source = Source::kMapping;
    // E(x) or mapping(z), [B, latent_size], without noise; undefined without an encoder.
    torch::Tensor latent;
    torch::Tensor images;
    torch::Tensor logits;  // logits they are conditioned on; undefined without an encoder
    torch::Tensor moved;   // with another image's condition: change of styles, [B, S]

    torch::Tensor Probabilities() const;  // of `logits`; undefined if they are
  };

  RealBatch Classify(const torch::Tensor& images) const;
  // Latents that the mapping network makes, one for each layer: [N, L, latent_size], with style
  // mixing. Only without an encoder.
  torch::Tensor MixedLatents(int64_t n);
  Source SourceOfStep(int64_t step) const;
  // Share of the run that is behind, 0 to 1.
  double Done() const;
  // Whether the discriminator takes part yet, see StylexTraining.adversarial_start.
  bool has_adversary() const { return Done() >= config_.stylex().adversarial_start(); }
  double R1Gamma() const;
  double LatentKlWeight() const;
  double ConditionDropout() const;
  // See LossWeights.latent_kl.
  bool noisy_latents() const { return log_latent_noise_.defined(); }
  double LearningRateScale() const;
  // The networks' passes that are differentiated once at most: on the CPU by fused layers, in the
  // precision that was set.
  torch::Tensor Synthesize(const StyleVectors& styles) const;
  torch::Tensor Encode(const torch::Tensor& images) const;
  torch::Tensor Scores(const torch::Tensor& images, const torch::Tensor& probabilities,
                       std::vector<torch::Tensor>* features = nullptr) const;
  torch::ScalarType activations() const {
    return precision_ == Precision::kBfloat16 ? torch::kBFloat16 : torch::kFloat32;
  }
  Drawn Draw(const RealBatch& real);
  void UpdateDiscriminator(const RealBatch& real, const Drawn& drawn, StepMetrics* metrics);
  void RegularizeDiscriminator(const RealBatch& real, const Drawn& drawn, StepMetrics* metrics);
  // The adversarial loss and, of reconstructions, feature matching.
  struct Judged {
    torch::Tensor adversarial;
    torch::Tensor features;  // undefined where it has no weight
  };
  Judged Judge(const RealBatch& real, const Drawn& drawn);
  // What Judge finds, weighted; 0 before the adversary begins. `adversarial` gets the loss without
  // its weight.
  torch::Tensor AdversarialLoss(const RealBatch& real, const Drawn& drawn,
                                const std::string& suffix, StepMetrics* metrics,
                                torch::Tensor* adversarial);
  // Pixels and perceptual loss, weighted.
  torch::Tensor ReconstructionLoss(const RealBatch& real, const Drawn& drawn,
                                   const Classifier::Features& fake, StepMetrics* metrics) const;
  // One step of generator, mapping network and, unless it had no part in the batch, encoder.
  void ApplyGenerator(const torch::Tensor& loss, Source source);
  // Whether this step measures the adversary's weight: it is the first reconstruction of its kind
  // in as many steps as lie between two measurements.
  bool BalancesAdversary() const;
  // See LossWeights.adversarial_ratio.
  void BalanceAdversary(const torch::Tensor& reconstruction, const torch::Tensor& adversarial);
  void UpdateGenerator(const RealBatch& real, const Drawn& drawn, StepMetrics* metrics);
  void RegularizeGenerator(const RealBatch& real, StepMetrics* metrics);
  // L1 of pixels, and if weighted, of neighbouring pixels' differences, and L2; recorded with
  // `suffix`.
  torch::Tensor PixelLoss(const RealBatch& real, const Drawn& drawn, const std::string& suffix,
                          StepMetrics* metrics) const;
  torch::Tensor Perceptual(const RealBatch& real, const Drawn& drawn,
                           const Classifier::Features& fake) const;
  void UpdateAverage();
  void SetLearningRates();

  v1::TrainConfig config_;
  std::shared_ptr<Classifier> classifier_;
  std::shared_ptr<const Lpips> lpips_;  // may be null
  uint64_t seed_;
  torch::Device device_;
  Precision precision_ = Precision::kFloat32;
  Networks networks_;
  Networks averaged_;
  Discriminator discriminator_{nullptr};
  std::unique_ptr<torch::optim::Adam> generator_optimizer_;  // generator and mapping network
  std::unique_ptr<torch::optim::Adam> encoder_optimizer_;    // null without an encoder
  std::unique_ptr<torch::optim::Adam> discriminator_optimizer_;
  torch::Tensor mean_path_length_;
  // A scalar; undefined where the config gives the weight (LossWeights.adversarial).
  torch::Tensor adversarial_weight_;
  torch::Tensor log_latent_noise_;  // [latent_size]; undefined without latent noise
  int64_t step_ = 0;
  int64_t halvings_ = 0;
  std::string started_from_;  // SHA-256 of the weights, see StartFrom
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_STYLEX_TRAINING_H_
