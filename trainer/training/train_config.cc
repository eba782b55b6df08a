#include "trainer/training/train_config.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/checkpoint/model_config.h"

namespace stylex {
namespace {

void SetChannels(std::initializer_list<int> channels, v1::ModelConfig* model) {
  for (auto* list : {model->mutable_generator()->mutable_channels(),
                     model->mutable_encoder()->mutable_channels(),
                     model->mutable_discriminator()->mutable_channels()}) {
    list->Assign(channels.begin(), channels.end());
  }
}

void SetClassifierDefaults(v1::TrainConfig* config) {
  config->mutable_model()->mutable_classifier()->set_architecture("mobilenet_v2");
  config->mutable_model()->mutable_classifier()->set_width_multiplier(1);
  config->mutable_model()->mutable_preprocessing()->set_crop("center_crop");
  v1::ClassifierTraining& classifier = *config->mutable_classifier();
  classifier.set_epochs(10);
  classifier.set_batch_size(64);
  classifier.set_learning_rate(1e-3);
  classifier.set_weight_decay(1e-4);
  classifier.set_shift_pixels(2);
}

v1::TrainConfig DefaultPreset() {
  v1::TrainConfig config;
  config.set_preset("default");
  config.mutable_data()->set_horizontal_flip(true);
  SetClassifierDefaults(&config);
  v1::ModelConfig& model = *config.mutable_model();
  model.set_resolution(64);
  model.set_image_channels(3);
  SetChannels({128, 128, 128, 64, 32}, &model);
  model.mutable_generator()->set_latent_size(128);
  model.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  model.mutable_generator()->set_mapping_layers(2);
  model.mutable_generator()->set_mapping_lr_multiplier(0.01);
  model.mutable_discriminator()->set_conditional(true);
  model.mutable_discriminator()->set_minibatch_stddev_group(4);
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_images(300'000);
  stylex.set_batch_size(32);
  stylex.set_generator_lr(2e-3);
  stylex.set_discriminator_lr(2e-3);
  stylex.set_encoder_lr(1e-3);
  stylex.set_beta1(0);
  stylex.set_beta2(0.99);
  stylex.set_encoder_beta1(0);
  stylex.set_encoder_beta2(0.99);
  stylex.mutable_weights()->set_adversarial(1);
  stylex.mutable_weights()->set_l1(1);
  stylex.mutable_weights()->set_perceptual(0.1);
  stylex.mutable_weights()->set_latent(0.1);
  stylex.mutable_weights()->set_kl(1);
  stylex.mutable_weights()->set_path_length(2);
  stylex.mutable_weights()->set_kl_mapping(0);
  stylex.mutable_weights()->set_kl_swap(0);
  stylex.mutable_weights()->set_l1_swap(0);
  stylex.mutable_weights()->set_swap_sparsity(0);
  stylex.mutable_weights()->set_l1_differences(0);
  stylex.mutable_weights()->set_latent_kl(0);
  stylex.set_r1_gamma(0.1);
  stylex.set_r1_interval(16);
  stylex.set_path_length_interval(4);
  stylex.set_path_length_batch_shrink(2);
  stylex.set_mapping_interval(2);
  stylex.set_condition_dropout_start(0);
  stylex.set_condition_dropout_end(0);
  stylex.set_ema_half_life_images(10'000);
  stylex.set_ema_ramp(0.05);
  stylex.set_ema_encoder(true);
  // Class evidence must be drawn by coordinates that explanations can move
  // (docs/results/ablation.md).
  stylex.set_constant_to_rgb(true);
  stylex.set_latent_interval(1);
  stylex.set_lr_decay_share(0);
  stylex.set_save_interval_images(10'000);
  stylex.set_sample_interval_images(10'000);
  return config;
}

// What the replication study's program does (Bosch et al. 2022, its published code). Its paper says
// otherwise in one place: §3.2 gives the L1 of the images the weight 0.1, the program has 1, as
// DefaultPreset does. PaperPreset has the paper's.
v1::TrainConfig SeedPreset() {
  v1::TrainConfig config = DefaultPreset();
  config.set_preset("seed");
  config.mutable_data()->set_horizontal_flip(false);
  v1::ModelConfig& model = *config.mutable_model();
  SetChannels({512, 512, 512, 512, 512}, &model);
  model.mutable_generator()->set_latent_size(512);
  model.mutable_generator()->set_conditioning(v1::CONDITIONING_LOGITS);
  model.mutable_generator()->set_mapping_layers(0);
  model.mutable_encoder()->set_minibatch_stddev(true);
  model.mutable_discriminator()->set_conditional(false);
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_images(880'000);
  stylex.set_batch_size(4);
  stylex.set_generator_lr(2e-4);
  stylex.set_discriminator_lr(2e-4);
  stylex.set_encoder_lr(2e-4);
  stylex.set_encoder_beta1(0.9);
  stylex.set_encoder_beta2(0.999);
  stylex.set_r1_gamma(10);
  stylex.set_path_length_interval(1);
  stylex.set_path_length_batch_shrink(1);
  stylex.set_mapping_interval(0);
  // The study's decay of 0.5^(32/10000) per step ignores the batch size: 312.5 steps of 4 images.
  stylex.set_ema_half_life_images(1250);
  stylex.set_ema_ramp(0);
  stylex.set_ema_encoder(false);
  stylex.set_constant_to_rgb(false);
  return config;
}

// How the original authors trained (Lang et al. 2021), as they told the replication study, at the
// study's resolution: its §3.1 (encoder and mapping network take turns), §3.2 (LPIPS and the L1 of
// the images weigh 0.1) and §3.5 (learning rate, batch, 250,000 steps). The condition, the
// conditional discriminator and an encoder that does not see the rest of the batch are those of the
// models that the authors published. What neither tells is StyleGAN2's own (Karras et al. 2020,
// config F): Adam, R1, path length, averaging, mirrored images.
v1::TrainConfig PaperPreset() {
  v1::TrainConfig config = SeedPreset();
  config.set_preset("paper");
  config.mutable_data()->set_horizontal_flip(true);
  v1::ModelConfig& model = *config.mutable_model();
  model.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  model.mutable_generator()->set_mapping_layers(8);
  model.mutable_encoder()->set_minibatch_stddev(false);
  model.mutable_discriminator()->set_conditional(true);
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_images(250'000 * 16);
  stylex.set_batch_size(16);
  stylex.set_generator_lr(2e-3);
  stylex.set_discriminator_lr(2e-3);
  stylex.set_encoder_lr(2e-3);
  stylex.set_encoder_beta1(0);
  stylex.set_encoder_beta2(0.99);
  stylex.mutable_weights()->set_l1(0.1);
  stylex.set_path_length_interval(4);
  stylex.set_path_length_batch_shrink(2);
  stylex.set_mapping_interval(2);
  stylex.set_ema_half_life_images(10'000);
  stylex.set_ema_encoder(true);
  return config;
}

// Configs that a checkpoint would refuse are refused before training.
void CheckModel(const v1::ModelConfig& model, ConfigFaults* faults) {
  CheckNetworks(model, "model.", faults);
  if (IsResolution(model.resolution())) {
    CheckChannels(model.discriminator().channels(), "model.discriminator", model.resolution(),
                  faults);
  }
  faults->Check(model.generator().components() == 0, "model.generator.components",
                model.generator().components(),
                "0: `stylex-train components` makes them once the networks are trained");
  const int group = model.discriminator().minibatch_stddev_group();
  faults->Check(group >= 0, "model.discriminator.minibatchStddevGroup", group,
                "0 (none) or greater");
  const std::string& architecture = model.classifier().architecture();
  faults->Check(architecture == "mobilenet_v2", "model.classifier.architecture",
                absl::StrCat("\"", architecture, "\""),
                "mobilenet_v2 (another network comes as a TorchScript file, by --classifier)");
  const std::string& crop = model.preprocessing().crop();
  faults->Check(crop == "center_crop" || crop == "stretch", "model.preprocessing.crop",
                absl::StrCat("\"", crop, "\""), "center_crop or stretch");
}

// A table.
// NOLINTNEXTLINE(readability-function-size)
void CheckStylex(const v1::TrainConfig& config, ConfigFaults* faults) {
  const v1::StylexTraining& stylex = config.stylex();
  const auto share = [&](absl::string_view field, double value) {
    faults->Check(value >= 0 && value <= 1, absl::StrCat("stylex.", field), value, "0 to 1");
  };
  const auto beta = [&](absl::string_view field, double value) {
    faults->Check(value >= 0 && value < 1, absl::StrCat("stylex.", field), value,
                  "0 or greater, below 1");
  };
  const auto rate = [&](absl::string_view field, double value) {
    faults->Check(value > 0 && value <= 1, absl::StrCat("stylex.", field), value,
                  "greater than 0, at most 1");
  };
  const auto weight = [&](absl::string_view field, double value) {
    faults->Check(value >= 0 && std::isfinite(value), absl::StrCat("stylex.", field), value,
                  "0 or greater");
  };
  faults->Check(stylex.images() > 0, "stylex.images", stylex.images(), "greater than 0");
  faults->Check(stylex.batch_size() >= 1 && stylex.batch_size() <= 4096, "stylex.batchSize",
                stylex.batch_size(), "1 to 4096");
  const int group = config.model().discriminator().minibatch_stddev_group();
  if (group > 0 && stylex.batch_size() > group) {
    faults->Check(stylex.batch_size() % group == 0, "stylex.batchSize", stylex.batch_size(),
                  absl::StrCat("a multiple of the minibatch-stddev group, ", group));
  }
  rate("generatorLr", stylex.generator_lr());
  rate("discriminatorLr", stylex.discriminator_lr());
  rate("encoderLr", stylex.encoder_lr());
  beta("beta1", stylex.beta1());
  beta("beta2", stylex.beta2());
  beta("encoderBeta1", stylex.encoder_beta1());
  beta("encoderBeta2", stylex.encoder_beta2());
  share("conditionDropoutStart", stylex.condition_dropout_start());
  share("conditionDropoutEnd", stylex.condition_dropout_end());
  share("lrDecayShare", stylex.lr_decay_share());
  share("noiseStart", stylex.noise_start());
  faults->Check(stylex.noise_start() == 0 || !stylex.without_noise(), "stylex.noiseStart",
                stylex.noise_start(), "0, because of stylex.withoutNoise");
  weight("r1Gamma", stylex.r1_gamma());
  weight("emaHalfLifeImages", stylex.ema_half_life_images());
  weight("emaRamp", stylex.ema_ramp());
  weight("weights.adversarial", stylex.weights().adversarial());
  weight("weights.l1", stylex.weights().l1());
  weight("weights.perceptual", stylex.weights().perceptual());
  weight("weights.latent", stylex.weights().latent());
  weight("weights.kl", stylex.weights().kl());
  weight("weights.klMapping", stylex.weights().kl_mapping());
  weight("weights.pathLength", stylex.weights().path_length());
  weight("weights.klSwap", stylex.weights().kl_swap());
  weight("weights.l1Swap", stylex.weights().l1_swap());
  weight("weights.swapSparsity", stylex.weights().swap_sparsity());
  weight("weights.l1Differences", stylex.weights().l1_differences());
  weight("weights.latentKl", stylex.weights().latent_kl());
  weight("weights.l2", stylex.weights().l2());
  weight("weights.adversarialRatio", stylex.weights().adversarial_ratio());
  weight("weights.featureMatching", stylex.weights().feature_matching());
  weight("weights.contrast", stylex.weights().contrast());
  weight("weights.hardest", stylex.weights().hardest());
  weight("weights.laplacian", stylex.weights().laplacian());
  weight("weights.texture", stylex.weights().texture());
  weight("weights.placeBoundTexture", stylex.weights().place_bound_texture());
  constexpr int kLeastPyramid = 16;  // see LaplacianLoss and TextureLoss
  for (const auto& [field, value] : {std::pair("laplacian", stylex.weights().laplacian()),
                                     std::pair("texture", stylex.weights().texture())}) {
    if (value > 0) {
      faults->Check(
          config.model().resolution() >= kLeastPyramid, "model.resolution",
          config.model().resolution(),
          absl::StrCat("at least ", kLeastPyramid, ", because of stylex.weights.", field));
    }
  }
  weight("r1GammaEnd", stylex.r1_gamma_end());
  share("adversarialStart", stylex.adversarial_start());
  if (stylex.weights().has_latent_kl_end()) {
    const double end = stylex.weights().latent_kl_end();
    faults->Check(end > 0 && std::isfinite(end) && stylex.weights().latent_kl() > 0,
                  "stylex.weights.latentKlEnd", end,
                  "greater than 0, with latentKl greater than 0");
  }
  faults->Check(stylex.r1_interval() >= 1, "stylex.r1Interval", stylex.r1_interval(),
                "1 or greater");
  faults->Check(stylex.latent_interval() >= 1, "stylex.latentInterval", stylex.latent_interval(),
                "1 or greater");
  faults->Check(stylex.path_length_interval() >= 0, "stylex.pathLengthInterval",
                stylex.path_length_interval(), "0 (never) or greater");
  faults->Check(stylex.path_length_batch_shrink() >= 1, "stylex.pathLengthBatchShrink",
                stylex.path_length_batch_shrink(), "1 or greater");
  const auto interval = [&](absl::string_view field, int64_t value, absl::string_view zero) {
    faults->Check(value >= 0, absl::StrCat("stylex.", field), value,
                  absl::StrCat("0 (", zero, ") or greater"));
  };
  interval("saveIntervalImages", stylex.save_interval_images(), "only at the end");
  interval("sampleIntervalImages", stylex.sample_interval_images(), "only at the end");
  const int swap = stylex.swap_interval();
  faults->Check(swap >= 0, "stylex.swapInterval", swap, "0 (never) or greater");
  faults->Check(swap == 0 || config.model().generator().conditioning() != v1::CONDITIONING_NONE,
                "stylex.swapInterval", swap, "0, because model.generator.conditioning is NONE");
  const int mapping = stylex.mapping_interval();
  faults->Check(mapping == 0 || mapping >= 2, "stylex.mappingInterval", mapping,
                "0 (never) or at least 2");
  faults->Check(mapping == 0 || config.model().generator().mapping_layers() > 0,
                "model.generator.mappingLayers", config.model().generator().mapping_layers(),
                "at least 1, because stylex.mappingInterval asks for mapping-network batches");
}

}  // namespace

absl::StatusOr<v1::TrainConfig> PresetConfig(const std::string& preset) {
  if (preset.empty() || preset == "default") {
    return DefaultPreset();
  }
  if (preset == "seed") {
    return SeedPreset();
  }
  if (preset == "paper") {
    return PaperPreset();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown preset \"", preset, "\"; there are \"default\", \"seed\" and \"paper\""));
}

absl::StatusOr<v1::TrainConfig> ResolveConfig(const v1::TrainConfig& overrides) {
  STYLEX_ASSIGN_OR_RETURN(v1::TrainConfig config, PresetConfig(overrides.preset()));
  const v1::ModelConfig& model = overrides.model();
  if (model.generator().channels_size() > 0) {
    config.mutable_model()->mutable_generator()->clear_channels();
  }
  if (model.encoder().channels_size() > 0) {
    config.mutable_model()->mutable_encoder()->clear_channels();
  }
  if (model.discriminator().channels_size() > 0) {
    config.mutable_model()->mutable_discriminator()->clear_channels();
  }
  const std::string preset = config.preset();
  config.MergeFrom(overrides);
  config.set_preset(preset);
  STYLEX_RETURN_IF_ERROR(ValidateTrainConfig(config));
  return config;
}

v1::TrainConfig PlainStyleGan2(v1::TrainConfig config) {
  constexpr int kMappingLayers = 8;
  constexpr double kMappingLrMultiplier = 0.01;
  v1::ModelConfig& model = *config.mutable_model();
  model.clear_encoder();
  model.mutable_discriminator()->set_conditional(false);
  v1::GeneratorConfig& generator = *model.mutable_generator();
  generator.set_conditioning(v1::CONDITIONING_NONE);
  generator.clear_condition_scale();
  if (generator.mapping_layers() == 0) {
    generator.set_mapping_layers(kMappingLayers);
    generator.set_mapping_lr_multiplier(kMappingLrMultiplier);
  }
  v1::StylexTraining& stylex = *config.mutable_stylex();
  const double path_length = stylex.weights().path_length();
  stylex.clear_weights();
  // Other weights balance it against losses that a plain StyleGAN2 does not have.
  stylex.mutable_weights()->set_adversarial(1);
  stylex.mutable_weights()->set_path_length(path_length);
  stylex.clear_adversarial_start();
  stylex.clear_encoder_lr();
  stylex.clear_encoder_beta1();
  stylex.clear_encoder_beta2();
  stylex.clear_ema_encoder();
  stylex.clear_latent_interval();
  stylex.clear_mapping_interval();
  stylex.clear_swap_interval();
  stylex.clear_condition_dropout_start();
  stylex.clear_condition_dropout_end();
  return config;
}

absl::Status ValidateTrainConfig(const v1::TrainConfig& config) {
  ConfigFaults faults;
  CheckModel(config.model(), &faults);
  const int crop = config.data().crop(), resolution = config.model().resolution();
  faults.Check(crop == 0 || crop >= resolution, "data.crop", crop,
               absl::StrCat("0 (the whole image) or at least the resolution, ", resolution));
  const v1::ClassifierTraining& classifier = config.classifier();
  faults.Check(classifier.epochs() >= 1, "classifier.epochs", classifier.epochs(), "1 or greater");
  faults.Check(classifier.batch_size() >= 2, "classifier.batchSize", classifier.batch_size(),
               "2 or greater (batch norm needs two images)");
  faults.Check(classifier.learning_rate() > 0 && classifier.learning_rate() <= 1,
               "classifier.learningRate", classifier.learning_rate(), "greater than 0, at most 1");
  const double decay = classifier.weight_decay();
  faults.Check(decay >= 0 && std::isfinite(decay), "classifier.weightDecay", decay, "0 or greater");
  faults.Check(classifier.shift_pixels() >= 0, "classifier.shiftPixels", classifier.shift_pixels(),
               "0 or greater");
  faults.Check(classifier.label_smoothing() >= 0 && classifier.label_smoothing() < 1,
               "classifier.labelSmoothing", classifier.label_smoothing(), "0 or greater, below 1");
  faults.Check(classifier.noise() >= 0 && classifier.noise() <= 2, "classifier.noise",
               classifier.noise(), "0 to 2 (images reach from -1 to 1)");
  CheckStylex(config, &faults);
  return faults.ToStatus("training config");
}

}  // namespace stylex
