// The smallest training that has every network, and a classifier that needs none.
#ifndef STYLEX_TESTS_TRAINER_TRAINING_SMALL_TRAINING_H_
#define STYLEX_TESTS_TRAINER_TRAINING_SMALL_TRAINING_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "models/classifier.h"
#include "stylex/v1/train_config.pb.h"

namespace stylex {

// Two classes of RGB images, `channels` in generator, encoder and discriminator; batches of four,
// the pixels' loss alone. The number of images is left open.
inline v1::TrainConfig SmallTrainConfig(int resolution, const std::vector<int>& channels) {
  v1::TrainConfig config;
  v1::ModelConfig& model = *config.mutable_model();
  model.set_resolution(resolution);
  model.set_image_channels(3);
  model.add_labels("a");
  model.add_labels("b");
  model.mutable_generator()->set_latent_size(8);
  model.mutable_generator()->set_mapping_layers(1);
  model.mutable_generator()->set_mapping_lr_multiplier(0.01);
  model.mutable_generator()->mutable_channels()->Assign(channels.begin(), channels.end());
  model.mutable_encoder()->mutable_channels()->Assign(channels.begin(), channels.end());
  model.mutable_discriminator()->mutable_channels()->Assign(channels.begin(), channels.end());
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_batch_size(4);
  stylex.set_generator_lr(1e-3);
  stylex.set_discriminator_lr(1e-3);
  stylex.set_encoder_lr(1e-3);
  stylex.set_encoder_beta2(0.99);
  stylex.mutable_weights()->set_l1(1);
  return config;
}

// Decides whether an image is bright.
class Brightness : public Classifier {
 public:
  torch::Tensor Logits(const torch::Tensor& images) const override {
    const torch::Tensor mean = images.mean({1, 2, 3});
    return torch::stack({8 * mean, -8 * mean}, 1);
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return 0; }
};

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_TRAINING_SMALL_TRAINING_H_
