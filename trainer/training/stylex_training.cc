#include "trainer/training/stylex_training.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_sub.h>
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/optim/adam.h>
#include <torch/optim/optimizer.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/version_directory.h"
#include "models/cpu/fused_networks.h"
#include "models/cpu/training_kernels.h"
#include "trainer/data/random_order.h"
#include "trainer/training/grouped_adam.h"
#include "trainer/training/losses.h"

namespace stylex {
namespace {

// Purposes of random numbers, see SeedFor.
constexpr uint64_t kInitialWeights = 1;
constexpr uint64_t kStepNoise = 2;

// Share of a plain StyleGAN2's images whose layers mix two z's (StyleGAN, Karras et al. 2019,
// §3.1).
constexpr double kStyleMixing = 0.9;
// Initial log deviation of the latents' noise: 0.1, small beside latents that vary by 1.
constexpr double kFirstLogLatentNoise = -2.3;
// Steps from one measurement of the adversary's weight to the next, and its bounds (Esser et al.
// 2021).
constexpr int64_t kBalanceInterval = 16;
constexpr double kLeastGradient = 1e-4;
constexpr double kGreatestBalance = 1e4;

// Lazy regularisation (StyleGAN2, Karras et al. 2020, §3.1): the rates of an optimiser that takes
// an additional regularisation step every `interval` steps are scaled by interval / (interval + 1).
double LazyRatio(int64_t interval) {
  return interval == 0 ? 1 : static_cast<double>(interval) / static_cast<double>(interval + 1);
}

std::unique_ptr<torch::optim::Adam> MakeAdam(std::vector<torch::Tensor> parameters, double lr,
                                             double beta1, double beta2, double ratio) {
  return std::make_unique<GroupedAdam>(std::move(parameters),
                                       torch::optim::AdamOptions(lr * ratio)
                                           .betas({std::pow(beta1, ratio), std::pow(beta2, ratio)})
                                           .eps(1e-8));
}

void SetRequiresGrad(torch::nn::Module& module, bool value) {
  for (torch::Tensor& parameter : module.parameters()) {
    parameter.requires_grad_(value);
  }
}

// Removes gradients instead of zeroing them, so that in every version of LibTorch Adam skips
// parameters that a step does not reach.
void ClearGradients(torch::optim::Adam* optimizer) {
  for (torch::optim::OptimizerParamGroup& group : optimizer->param_groups()) {
    for (torch::Tensor& parameter : group.params()) {
      parameter.mutable_grad() = torch::Tensor();
    }
  }
}

void SetLearningRate(torch::optim::Adam* optimizer, double lr) {
  for (torch::optim::OptimizerParamGroup& group : optimizer->param_groups()) {
    static_cast<torch::optim::AdamOptions&>(group.options()).lr(lr);
  }
}

void Record(StepMetrics* metrics, const std::string& name, const torch::Tensor& value) {
  if (metrics != nullptr) {
    (*metrics)[name] = value.item<double>();
  }
}

// A tensor's name in networks of `grown` fewer resolutions; none if it did not exist there. The
// generator counts its layers from the smallest resolution, encoders from the greatest.
std::optional<std::string> NameBeforeGrowing(const std::string& name, int grown) {
  constexpr char kBody[] = "encoder.body.";
  if (grown == 0 || !name.starts_with(kBody)) {
    return name;
  }
  const std::string rest = name.substr(sizeof(kBody) - 1);
  if (rest.starts_with("from_rgb")) {
    return std::nullopt;
  }
  int block = 0;
  const size_t end = rest.find('_');
  if (!rest.starts_with("block") || !absl::SimpleAtoi(rest.substr(5, end - 5), &block)) {
    return name;
  }
  if (block < grown) {
    return std::nullopt;
  }
  return absl::StrCat(kBody, "block", block - grown, rest.substr(end));
}

double Between(double start, double end, double done) { return start + done * (end - start); }

bool IsColourWeight(const std::string& name) {
  return name.starts_with("generator.to_rgb") && name.ends_with("_weight");
}

}  // namespace

StylexTraining::StylexTraining(const v1::TrainConfig& config,
                               std::shared_ptr<Classifier> classifier,
                               std::shared_ptr<const Lpips> lpips, uint64_t seed,
                               const torch::Device& device)
    : config_(config),
      classifier_(std::move(classifier)),
      lpips_(std::move(lpips)),
      seed_(seed),
      device_(device) {
  torch::manual_seed(SeedFor(seed, 0, kInitialWeights));
  const v1::ModelConfig& model = config_.model();
  networks_ = Networks::Make(model);
  averaged_ = Networks::Make(model);
  discriminator_ =
      Discriminator(model.discriminator(), model.image_channels(), model.labels_size());
  networks_.To(device);
  averaged_.To(device);
  discriminator_->to(device);
  {
    torch::NoGradGuard no_grad;
    const auto source = networks_.NamedTensors();
    for (auto& [name, tensor] : averaged_.NamedTensors()) {
      tensor.copy_(source.at(name));
    }
  }
  averaged_.SetTrainable(false);
  const v1::StylexTraining& stylex = config_.stylex();
  const double g_ratio = LazyRatio(stylex.path_length_interval());
  std::vector<torch::Tensor> generator_parameters = networks_.generator->parameters();
  if (!networks_.mapping.is_empty()) {
    const auto mapping = networks_.mapping->parameters();
    generator_parameters.insert(generator_parameters.end(), mapping.begin(), mapping.end());
  }
  generator_optimizer_ = MakeAdam(std::move(generator_parameters), stylex.generator_lr(),
                                  stylex.beta1(), stylex.beta2(), g_ratio);
  if (HasEncoder(model)) {
    std::vector<torch::Tensor> encoder_parameters = networks_.encoder->parameters();
    if (stylex.weights().latent_kl() > 0) {
      log_latent_noise_ = torch::full({model.generator().latent_size()}, kFirstLogLatentNoise,
                                      torch::TensorOptions(device))
                              .requires_grad_(true);
      encoder_parameters.push_back(log_latent_noise_);
    }
    encoder_optimizer_ = MakeAdam(std::move(encoder_parameters), stylex.encoder_lr(),
                                  stylex.encoder_beta1(), stylex.encoder_beta2(), 1);
  }
  discriminator_optimizer_ =
      MakeAdam(discriminator_->parameters(), stylex.discriminator_lr(), stylex.beta1(),
               stylex.beta2(), LazyRatio(stylex.r1_interval()));
  mean_path_length_ = torch::zeros({}, device);
  if (stylex.weights().adversarial_ratio() > 0) {
    adversarial_weight_ = torch::full({}, stylex.weights().adversarial(), device);
  }
  SilenceTensors();
  StartNoise();
}

void StylexTraining::SilenceTensors() {
  const torch::NoGradGuard no_grad;
  const v1::StylexTraining& stylex = config_.stylex();
  for (const Networks* networks : {&networks_, &averaged_}) {
    for (auto& [name, tensor] : networks->NamedTensors()) {
      const bool colour = name.starts_with("generator.to_rgb") && name.ends_with("_affine.weight");
      const bool noise = name.ends_with("_noise_strength");
      if ((colour && stylex.constant_to_rgb()) || (noise && stylex.without_noise())) {
        tensor.zero_();
        tensor.requires_grad_(false);
      }
    }
  }
}

void StylexTraining::StartNoise() {
  const double start = config_.stylex().noise_start();
  if (start == 0) {
    return;
  }
  const torch::NoGradGuard no_grad;
  constexpr int kFinest = 4;  // convolutions of two resolutions
  const int convs = static_cast<int>(networks_.generator->convs().size());
  for (const Networks* networks : {&networks_, &averaged_}) {
    std::map<std::string, torch::Tensor> tensors = networks->NamedTensors();
    for (int layer = std::max(0, convs - kFinest); layer < convs; ++layer) {
      tensors.at(absl::StrCat("generator.conv", layer, "_noise_strength")).fill_(start);
    }
  }
}

absl::Status StylexTraining::StartFrom(const Checkpoint& earlier) {
  const v1::ModelConfig& from = earlier.model.config();
  const v1::ModelConfig& to = config_.model();
  const std::string name = absl::StrCat("--start-from ", from.name());
  if (from.resolution() > to.resolution()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": has resolution ", from.resolution(),
                                                   ", this run only ", to.resolution(),
                                                   "; a greater one cannot be made smaller"));
  }
  const int grown = to.generator().channels_size() - from.generator().channels_size();
  const std::map<std::string, torch::Tensor> stored = earlier.model.networks().NamedTensors();
  std::map<std::string, torch::Tensor> sources;
  for (const auto& [target_name, tensor] : networks_.NamedTensors()) {
    const std::optional<std::string> source_name = NameBeforeGrowing(target_name, grown);
    if (!source_name) {
      continue;
    }
    const auto source = stored.find(*source_name);
    if (source == stored.end()) {
      // Layers of the greater resolution only; a missing mapping network keeps its random weights.
      continue;
    }
    if (source->second.sizes() != tensor.sizes()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": tensor ", *source_name, " has shape ", ShapeText(source->second),
                       ", this run's ", target_name, " has ", ShapeText(tensor),
                       "; the channels that both resolutions have must be the same"));
    }
    sources[target_name] = source->second;
  }
  const torch::NoGradGuard no_grad;
  for (const Networks* networks : {&networks_, &averaged_}) {
    for (auto& [target_name, tensor] : networks->NamedTensors()) {
      if (const auto source = sources.find(target_name); source != sources.end()) {
        tensor.copy_(source->second);
      } else if (IsColourWeight(target_name)) {
        tensor.zero_();
      }
    }
  }
  SilenceTensors();
  StartNoise();
  for (const v1::FileHash& file : from.files()) {
    started_from_ += file.name() == kWeightsFile ? file.sha256() : "";
  }
  return absl::OkStatus();
}

torch::Tensor StylexTraining::Drawn::Probabilities() const {
  return logits.defined() ? torch::softmax(logits, 1) : torch::Tensor();
}

StylexTraining::RealBatch StylexTraining::Classify(const torch::Tensor& images) const {
  torch::NoGradGuard no_grad;
  RealBatch real;
  real.images = images.to(device_);
  if (!HasEncoder(config_.model())) {
    return real;
  }
  Classifier::Features features = classifier_->LogitsAndFeatures(real.images);
  real.logits = std::move(features.logits);
  real.taps = std::move(features.taps);
  real.probabilities = torch::softmax(real.logits, 1);
  return real;
}

torch::Tensor StylexTraining::MixedLatents(int64_t n) {
  const auto options = torch::TensorOptions(device_);
  const int64_t size = config_.model().generator().latent_size();
  const int64_t layers = networks_.generator->num_latents();
  const torch::Tensor latents =
      networks_.mapping->forward(torch::randn({2 * n, size}, options)).view({2, n, 1, size});
  const torch::Tensor mixed = torch::rand({n, 1, 1}, options) < kStyleMixing;
  const torch::Tensor cut = torch::randint(1, layers, {n, 1, 1}, options);
  const torch::Tensor second =
      torch::arange(layers, options).view({1, layers, 1}).ge(cut).logical_and(mixed);
  return torch::where(second, latents[1], latents[0]);
}

StylexTraining::Source StylexTraining::SourceOfStep(int64_t step) const {
  const int64_t mapping = config_.stylex().mapping_interval();
  const int64_t swap = config_.stylex().swap_interval();
  if (mapping > 0 && step % mapping == mapping - 1 && has_adversary()) {
    return Source::kMapping;
  }
  return swap > 0 && step % swap == 0 ? Source::kSwapped : Source::kReconstruction;
}

double StylexTraining::Done() const {
  return std::min(
      1.0, static_cast<double>(images_seen()) / static_cast<double>(config_.stylex().images()));
}

double StylexTraining::R1Gamma() const {
  const v1::StylexTraining& stylex = config_.stylex();
  return stylex.has_r1_gamma_end() ? Between(stylex.r1_gamma(), stylex.r1_gamma_end(), Done())
                                   : stylex.r1_gamma();
}

double StylexTraining::LatentKlWeight() const {
  const v1::LossWeights& weights = config_.stylex().weights();
  return weights.has_latent_kl_end() ? Between(weights.latent_kl(), weights.latent_kl_end(), Done())
                                     : weights.latent_kl();
}

double StylexTraining::ConditionDropout() const {
  const v1::StylexTraining& stylex = config_.stylex();
  return Between(stylex.condition_dropout_start(), stylex.condition_dropout_end(), Done());
}

double StylexTraining::LearningRateScale() const {
  const double share = config_.stylex().lr_decay_share();
  const double left =
      1 - static_cast<double>(images_seen()) / static_cast<double>(config_.stylex().images());
  return share > 0 ? std::clamp(left / share, 0.0, 1.0) : 1;
}

torch::Tensor StylexTraining::Synthesize(const StyleVectors& styles) const {
  return device_.is_cpu() ? FusedSynthesize(networks_.generator, styles, activations())
                          : Generator(networks_.generator)->synthesize(styles, Noise::kRandom);
}

torch::Tensor StylexTraining::Encode(const torch::Tensor& images) const {
  return device_.is_cpu() ? FusedEncode(networks_.encoder, images, activations())
                          : Encoder(networks_.encoder)->forward(images);
}

torch::Tensor StylexTraining::Scores(const torch::Tensor& images,
                                     const torch::Tensor& probabilities,
                                     std::vector<torch::Tensor>* features) const {
  return device_.is_cpu()
             ? FusedDiscriminate(discriminator_, images, probabilities, activations(), features)
             : Discriminator(discriminator_)->forward(images, probabilities, features);
}

StylexTraining::Drawn StylexTraining::Draw(const RealBatch& real) {
  Drawn drawn;
  const int64_t n = real.images.size(0);
  if (!HasEncoder(config_.model())) {
    drawn.images = Synthesize(networks_.generator->styles(MixedLatents(n)));
    return drawn;
  }
  drawn.source = SourceOfStep(step_);
  drawn.logits = drawn.source == Source::kSwapped ? real.logits.roll(1, 0) : real.logits;
  torch::Tensor condition = Condition(config_.model(), drawn.logits);
  if (drawn.source == Source::kMapping) {
    const int64_t size = config_.model().generator().latent_size();
    drawn.latent = networks_.mapping->forward(torch::randn({n, size}, real.images.options()));
  } else {
    drawn.latent = Encode(real.images);
  }
  const double dropout = drawn.source == Source::kReconstruction ? ConditionDropout() : 0;
  if (dropout > 0) {
    // Dropping the condition forces the latent to carry the class, and so puts it into coordinates
    // that an explanation can move.
    condition = condition * (torch::rand({n, 1}, condition.options()) >= dropout);
  }
  torch::Tensor latent = drawn.latent;
  if (noisy_latents() && drawn.source != Source::kMapping) {
    latent = latent + torch::randn_like(latent) * log_latent_noise_.exp();
  }
  const auto styles_with = [&](const torch::Tensor& of_class) {
    return networks_.generator->styles(torch::cat({latent, of_class}, 1));
  };
  const StyleVectors styles = styles_with(condition);
  if (drawn.source == Source::kSwapped) {
    drawn.moved = styles.conv - styles_with(Condition(config_.model(), real.logits)).conv;
  }
  drawn.images = Synthesize(styles);
  return drawn;
}

void StylexTraining::UpdateDiscriminator(const RealBatch& real, const Drawn& drawn,
                                         StepMetrics* metrics) {
  SetRequiresGrad(*discriminator_, true);
  const torch::Tensor real_scores = Scores(real.images, real.probabilities);
  const torch::Tensor fake_scores = Scores(drawn.images.detach(), drawn.Probabilities());
  const torch::Tensor loss = config_.stylex().relativistic()
                                 ? RelativisticLoss(real_scores, fake_scores)
                                 : DiscriminatorLoss(real_scores, fake_scores);
  ClearGradients(discriminator_optimizer_.get());
  loss.backward();
  discriminator_optimizer_->step();
  Record(metrics, "loss_d", loss);
  Record(metrics, "score_real", real_scores.mean());
  Record(metrics, "score_fake", fake_scores.mean());
}

void StylexTraining::RegularizeDiscriminator(const RealBatch& real, const Drawn& drawn,
                                             StepMetrics* metrics) {
  const v1::StylexTraining& stylex = config_.stylex();
  const auto penalty_of = [this](const torch::Tensor& of, const torch::Tensor& probabilities) {
    const torch::Tensor images = of.detach().clone().requires_grad_(true);
    return R1Penalty(images, discriminator_->forward(images, probabilities));
  };
  torch::Tensor penalty = penalty_of(real.images, real.probabilities);
  Record(metrics, "r1", penalty);
  if (stylex.r2()) {
    const torch::Tensor of_generated = penalty_of(drawn.images, drawn.Probabilities());
    Record(metrics, "r2", of_generated);
    penalty = penalty + of_generated;
  }
  const torch::Tensor loss = penalty * (R1Gamma() / 2 * stylex.r1_interval());
  ClearGradients(discriminator_optimizer_.get());
  loss.backward();
  discriminator_optimizer_->step();
}

StylexTraining::Judged StylexTraining::Judge(const RealBatch& real, const Drawn& drawn) {
  const v1::StylexTraining& stylex = config_.stylex();
  const bool matches =
      stylex.weights().feature_matching() > 0 && drawn.source == Source::kReconstruction;
  SetRequiresGrad(*discriminator_, false);
  std::vector<torch::Tensor> real_features, fake_features;
  const torch::Tensor scores =
      Scores(drawn.images, drawn.Probabilities(), matches ? &fake_features : nullptr);
  if (!matches && !stylex.relativistic()) {
    return {GeneratorLoss(scores), {}};
  }
  torch::Tensor real_scores;
  {
    const torch::NoGradGuard no_grad;
    real_scores = Scores(real.images, real.probabilities, &real_features);
  }
  return {stylex.relativistic() ? RelativisticLoss(scores, real_scores) : GeneratorLoss(scores),
          matches ? FeatureMatchingLoss(real_features, fake_features) : torch::Tensor()};
}

bool StylexTraining::BalancesAdversary() const {
  if (!adversarial_weight_.defined() || !has_adversary()) {
    return false;
  }
  for (int64_t step = step_ - step_ % kBalanceInterval; step < step_; ++step) {
    if (SourceOfStep(step) == Source::kReconstruction) {
      return false;
    }
  }
  return SourceOfStep(step_) == Source::kReconstruction;
}

void StylexTraining::BalanceAdversary(const torch::Tensor& reconstruction,
                                      const torch::Tensor& adversarial) {
  const torch::Tensor& weight = networks_.generator->convs().back().weight;
  const auto length_of = [&weight](const torch::Tensor& loss) {
    return torch::autograd::grad({loss}, {weight}, {}, /*retain_graph=*/true)[0].norm();
  };
  const torch::NoGradGuard no_grad;
  const torch::Tensor ratio = length_of(reconstruction) / (length_of(adversarial) + kLeastGradient);
  adversarial_weight_.copy_(ratio.clamp(0, kGreatestBalance) *
                            config_.stylex().weights().adversarial_ratio());
}

// Undefined when there are no features to compare.
torch::Tensor StylexTraining::Perceptual(const RealBatch& real, const Drawn& drawn,
                                         const Classifier::Features& fake) const {
  if (lpips_ != nullptr) {
    return lpips_->Distance(drawn.images, real.images).mean();
  }
  return fake.taps.empty() ? torch::Tensor() : PerceptualLoss(real.taps, fake.taps);
}

torch::Tensor StylexTraining::PixelLoss(const RealBatch& real, const Drawn& drawn,
                                        const std::string& suffix, StepMetrics* metrics) const {
  const v1::LossWeights& weights = config_.stylex().weights();
  const bool coarse = config_.stylex().coarse_pixels();
  const torch::Tensor from = coarse ? BinomialBlur(drawn.images) : drawn.images;
  const torch::Tensor to = coarse ? BinomialBlur(real.images) : real.images;
  torch::Tensor loss = L1Loss(from, to);
  Record(metrics, "loss_l1" + suffix, loss);
  // How many times each pixel counts; undefined: once.
  torch::Tensor counts;
  if (weights.contrast() > 0) {
    counts = 1 + LocalContrast(real.images) * weights.contrast();
    loss = ((from - to).abs() * counts).mean();
  }
  const auto add = [&](const std::string& name, double weight, const auto& value_of) {
    if (weight > 0) {
      const torch::Tensor value = value_of();
      Record(metrics, name + suffix, value);
      loss = loss + value * weight;
    }
  };
  add("loss_differences", weights.l1_differences(), [&] { return DifferencesLoss(from, to); });
  add("loss_l2", weights.l2(),
      [&] { return counts.defined() ? ((from - to).square() * counts).mean() : L2Loss(from, to); });
  add("loss_hardest", weights.hardest(),
      [&] { return HardestPixelsLoss(drawn.images, real.images); });
  add("loss_laplacian", weights.laplacian(),
      [&] { return LaplacianLoss(drawn.images, real.images); });
  add("loss_texture", weights.texture(), [&] { return TextureLoss(drawn.images, real.images); });
  add("loss_place_bound", weights.place_bound_texture(),
      [&] { return PlaceBoundTexture(drawn.images); });
  return loss;
}

torch::Tensor StylexTraining::AdversarialLoss(const RealBatch& real, const Drawn& drawn,
                                              const std::string& suffix, StepMetrics* metrics,
                                              torch::Tensor* adversarial) {
  const v1::LossWeights& weights = config_.stylex().weights();
  if (!has_adversary()) {
    return torch::zeros({}, device_);
  }
  const Judged judged = Judge(real, drawn);
  *adversarial = judged.adversarial;
  Record(metrics, "loss_g" + suffix, judged.adversarial);
  torch::Tensor loss;
  if (adversarial_weight_.defined()) {
    Record(metrics, "adversarial_weight", adversarial_weight_);
    // A copy: the weight may be set anew before the gradients are computed.
    loss = judged.adversarial * adversarial_weight_.clone();
  } else {
    loss = judged.adversarial * weights.adversarial();
  }
  if (judged.features.defined()) {
    Record(metrics, "loss_features", judged.features);
    loss = loss + judged.features * weights.feature_matching();
  }
  return loss;
}

torch::Tensor StylexTraining::ReconstructionLoss(const RealBatch& real, const Drawn& drawn,
                                                 const Classifier::Features& fake,
                                                 StepMetrics* metrics) const {
  const v1::LossWeights& weights = config_.stylex().weights();
  torch::Tensor loss = PixelLoss(real, drawn, "", metrics) * weights.l1();
  const torch::Tensor perceptual =
      weights.perceptual() > 0 ? Perceptual(real, drawn, fake) : torch::Tensor();
  if (perceptual.defined()) {
    loss = loss + perceptual * weights.perceptual();
    Record(metrics, lpips_ == nullptr ? "loss_perceptual" : "loss_lpips", perceptual);
  }
  return loss;
}

void StylexTraining::UpdateGenerator(const RealBatch& real, const Drawn& drawn,
                                     StepMetrics* metrics) {
  const v1::LossWeights& weights = config_.stylex().weights();
  const bool reconstructs = drawn.source == Source::kReconstruction;
  const bool swapped = drawn.source == Source::kSwapped;
  const std::string suffix = reconstructs ? "" : swapped ? "_swap" : "_mapping";
  torch::Tensor adversarial;
  torch::Tensor loss = AdversarialLoss(real, drawn, suffix, metrics, &adversarial);
  const double kl_weight = reconstructs ? weights.kl()
                           : swapped    ? weights.kl_swap()
                                        : weights.kl_mapping();
  const bool wants_features = reconstructs && weights.perceptual() > 0 && lpips_ == nullptr;
  Classifier::Features fake;
  if (kl_weight > 0 || wants_features) {
    fake = classifier_->LogitsAndFeatures(drawn.images);
    const torch::Tensor kl = KlLoss(drawn.logits, fake.logits);
    loss = loss + kl * kl_weight;
    Record(metrics, "loss_kl" + suffix, kl);
  }
  if (swapped) {
    const torch::Tensor sparsity = MoveSparsity(drawn.moved);
    loss = loss + PixelLoss(real, drawn, suffix, metrics) * weights.l1_swap() +
           sparsity * weights.swap_sparsity();
    Record(metrics, "swap_sparsity", sparsity);
  }
  if (reconstructs) {
    const torch::Tensor reconstruction = ReconstructionLoss(real, drawn, fake, metrics);
    if (BalancesAdversary()) {
      BalanceAdversary(reconstruction, adversarial);
    }
    loss = loss + reconstruction;
    const int64_t interval = config_.stylex().latent_interval();
    if (weights.latent() > 0 && step_ % interval == 0) {
      // Gradients flow through both encodings, as in the replication study's code.
      const torch::Tensor latent = L1Loss(Encode(drawn.images), drawn.latent);
      loss = loss + latent * (weights.latent() * static_cast<double>(interval));
      Record(metrics, "loss_latent", latent);
    }
  }
  if (noisy_latents() && drawn.source != Source::kMapping) {
    const torch::Tensor kl = LatentKl(drawn.latent, log_latent_noise_);
    loss = loss + kl * LatentKlWeight();
    Record(metrics, "latent_kl" + suffix, kl);
  }
  ApplyGenerator(loss, drawn.source);
}

void StylexTraining::ApplyGenerator(const torch::Tensor& loss, Source source) {
  ClearGradients(generator_optimizer_.get());
  if (encoder_optimizer_ != nullptr) {
    ClearGradients(encoder_optimizer_.get());
  }
  loss.backward();
  generator_optimizer_->step();
  if (source != Source::kMapping) {
    encoder_optimizer_->step();
  }
}

void StylexTraining::RegularizeGenerator(const RealBatch& real, StepMetrics* metrics) {
  const v1::StylexTraining& stylex = config_.stylex();
  const int64_t n = std::max<int64_t>(1, real.images.size(0) / stylex.path_length_batch_shrink());
  torch::Tensor latents;
  if (HasEncoder(config_.model())) {
    torch::NoGradGuard no_grad;
    const torch::Tensor images = real.images.narrow(0, 0, n);
    const torch::Tensor latent =
        torch::cat({networks_.encoder->forward(images),
                    Condition(config_.model(), real.logits.narrow(0, 0, n))},
                   1);
    latents =
        latent.unsqueeze(1).repeat({1, networks_.generator->num_latents(), 1}).requires_grad_(true);
  } else {
    latents = MixedLatents(n);  // also trains the mapping network (StyleGAN2 §3.2)
  }
  const torch::Tensor images =
      networks_.generator->synthesize(networks_.generator->styles(latents), Noise::kRandom);
  const torch::Tensor penalty =
      PathLengthPenalty(images, latents, torch::randn_like(images), &mean_path_length_);
  const torch::Tensor loss =
      penalty * (stylex.weights().path_length() * stylex.path_length_interval());
  ClearGradients(generator_optimizer_.get());
  loss.backward();
  generator_optimizer_->step();
  Record(metrics, "path_length", mean_path_length_);
}

void StylexTraining::UpdateAverage() {
  const v1::StylexTraining& stylex = config_.stylex();
  double half_life = stylex.ema_half_life_images();
  if (stylex.ema_ramp() > 0) {
    half_life = std::min(half_life, static_cast<double>(images_seen()) * stylex.ema_ramp());
  }
  const double decay =
      half_life > 0 ? std::pow(0.5, static_cast<double>(stylex.batch_size()) / half_life) : 0;
  torch::NoGradGuard no_grad;
  const auto source = networks_.NamedTensors();
  std::vector<torch::Tensor> averages, latest;
  const auto is_plain = [](const torch::Tensor& tensor) {
    return tensor.is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == torch::kFloat32;
  };
  for (auto& [name, average] : averaged_.NamedTensors()) {
    if (name.starts_with("encoder.") && !stylex.ema_encoder()) {
      average.copy_(source.at(name));
    } else if (is_plain(average) && is_plain(source.at(name))) {
      kernels::MoveTowards(source.at(name).data_ptr<float>(), static_cast<float>(1 - decay),
                           average.numel(), average.data_ptr<float>());
    } else {
      averages.push_back(average);
      latest.push_back(source.at(name));
    }
  }
  if (!averages.empty()) {
    // All tensors together, for the same reason as in GroupedAdam.
    const std::vector<torch::Tensor> differences = at::_foreach_sub(latest, averages);
    at::_foreach_add_(averages, differences, 1 - decay);
  }
}

void StylexTraining::SetLearningRates() {
  const v1::StylexTraining& stylex = config_.stylex();
  const double scale = LearningRateScale() * std::ldexp(1, -static_cast<int>(halvings_));
  SetLearningRate(generator_optimizer_.get(),
                  stylex.generator_lr() * LazyRatio(stylex.path_length_interval()) * scale);
  if (encoder_optimizer_ != nullptr) {
    SetLearningRate(encoder_optimizer_.get(), stylex.encoder_lr() * scale);
  }
  SetLearningRate(discriminator_optimizer_.get(),
                  stylex.discriminator_lr() * LazyRatio(stylex.r1_interval()) * scale);
}

StepMetrics StylexTraining::Step(const torch::Tensor& images, bool want_metrics) {
  torch::manual_seed(SeedFor(seed_, static_cast<uint64_t>(step_), kStepNoise));
  StepMetrics metrics;
  StepMetrics* record = want_metrics ? &metrics : nullptr;
  const v1::StylexTraining& stylex = config_.stylex();
  SetLearningRates();
  const RealBatch real = Classify(images);
  // Both updates use the same images: the discriminator's update does not modify the networks that
  // drew them.
  const Drawn drawn = Draw(real);
  if (has_adversary()) {
    UpdateDiscriminator(real, drawn, record);
    if (R1Gamma() > 0 && step_ % stylex.r1_interval() == 0) {
      RegularizeDiscriminator(real, drawn, record);
    }
  }
  UpdateGenerator(real, drawn, record);
  if (stylex.path_length_interval() > 0 && stylex.weights().path_length() > 0 &&
      step_ % stylex.path_length_interval() == 0) {
    RegularizeGenerator(real, record);
  }
  ++step_;
  UpdateAverage();
  return metrics;
}

Stylex StylexTraining::Averaged() const {
  Stylex model(config_.model(), averaged_, classifier_);
  model.To(device_);  // the networks are already there; this tells the bundle
  return model;
}

TrainingState StylexTraining::State() {
  TrainingState state;
  for (const auto& [name, tensor] : networks_.NamedTensors()) {
    state.tensors["networks." + name] = tensor;
  }
  for (const auto& [name, tensor] : averaged_.NamedTensors()) {
    state.tensors["averaged." + name] = tensor;
  }
  for (const auto& item : discriminator_->named_parameters()) {
    state.tensors["discriminator." + item.key()] = item.value();
  }
  state.tensors["mean_path_length"] = mean_path_length_;
  if (adversarial_weight_.defined()) {
    state.tensors["adversarial_weight"] = adversarial_weight_;
  }
  if (noisy_latents()) {
    state.tensors["log_latent_noise"] = log_latent_noise_;
  }
  state.optimizers = {{"generator", generator_optimizer_.get()},
                      {"discriminator", discriminator_optimizer_.get()}};
  if (encoder_optimizer_ != nullptr) {
    state.optimizers["encoder"] = encoder_optimizer_.get();
  }
  state.counters["step"] = step_;
  state.counters["halvings"] = halvings_;
  return state;
}

void StylexTraining::Restore(const TrainingState& state) {
  step_ = state.counters.at("step");
  halvings_ = state.counters.at("halvings");
}

}  // namespace stylex
