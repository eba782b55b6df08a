// A random StylEx small enough to be searched by brute force: a generator with 8 channels and a
// classifier sensitive enough that single coordinates move its decision.
#ifndef STYLEX_TESTS_EXPLAIN_TINY_MODEL_H_
#define STYLEX_TESTS_EXPLAIN_TINY_MODEL_H_

#include <torch/types.h>
#include <torch/utils.h>

#include <atomic>
#include <memory>
#include <utility>

#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

constexpr int64_t kTinyClasses = 4;
constexpr int64_t kTinyResolution = 16;
constexpr int64_t kTinyCoordinates = 5 * 8;

// Two layers of random weights. Counts the classified images.
class TinyClassifier : public Classifier {
 public:
  explicit TinyClassifier(int64_t channels = 1)
      : hidden_(torch::randn({channels * kTinyResolution * kTinyResolution, 16}) / 4),
        output_(torch::randn({16, kTinyClasses}) * 1.5) {}

  torch::Tensor Logits(const torch::Tensor& images) const override {
    images_ += images.size(0);
    return torch::matmul(torch::tanh(torch::matmul(images.flatten(1), hidden_)), output_);
  }
  void To(const torch::Device& device) override {
    hidden_ = hidden_.to(device);
    output_ = output_.to(device);
  }
  int64_t NumParameters() const override { return hidden_.numel() + output_.numel(); }
  int64_t images() const { return images_; }

 private:
  torch::Tensor hidden_, output_;
  mutable std::atomic<int64_t> images_ = 0;  // batches are classified side by side
};

// For tests that count batches: with more threads batches are smaller, and other threads continue
// while one polls for cancellation.
class OneThread {
 public:
  OneThread() { torch::set_num_threads(1); }
  ~OneThread() { torch::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int before_ = torch::get_num_threads();
};

struct TinyModel {
  std::shared_ptr<TinyClassifier> classifier;
  Stylex stylex;
  StyleVectors styles;  // of `images` images
  StyleRanges ranges;   // over 64 other ones
};

// `components`: their number; 0: coordinates are channels. channels: 1 for grey images, 3 for RGB.
inline TinyModel MakeTinyModel(uint64_t seed, int64_t images = 1, int components = 0,
                               int channels = 1) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  v1::ModelConfig config;
  config.set_resolution(kTinyResolution);
  config.set_image_channels(channels);
  for (int64_t k = 0; k < kTinyClasses; ++k) {
    config.add_labels(std::string(1, static_cast<char>('a' + k)));
  }
  for (int i = 0; i < 3; ++i) {
    config.mutable_generator()->add_channels(8);
    config.mutable_encoder()->add_channels(8);
  }
  config.mutable_generator()->set_latent_size(8);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  config.mutable_generator()->set_components(components);
  Networks networks = Networks::Make(config);
  if (components > 0) {
    const LatentBasis& basis = networks.generator->latent_basis();
    basis.mean.normal_();
    basis.basis.normal_();
    basis.readout.copy_(torch::linalg_inv(basis.basis));
  }
  for (auto& [name, tensor] : networks.NamedTensors()) {
    if (name.ends_with("_noise_strength") || (name.ends_with("_bias") && tensor.dim() == 1)) {
      tensor.normal_(0, 0.1);  // zero before training, which would hide mistakes
    }
  }
  auto classifier = std::make_shared<TinyClassifier>(channels);
  Stylex stylex(config, networks, classifier);
  StyleRangeAccumulator ranges;
  ranges.Add(stylex.Styles(torch::randn({64, stylex.w_size()})).conv);
  StyleVectors styles = stylex.Styles(torch::randn({images, stylex.w_size()}));
  return {classifier, std::move(stylex), std::move(styles), ranges.Finish()};
}

// All coordinates in both directions.
inline std::vector<Coordinate> AllCoordinates() {
  std::vector<Coordinate> all;
  for (int direction = 0; direction < 2; ++direction) {
    for (int64_t index = 0; index < kTinyCoordinates; ++index) {
      all.push_back({index, direction});
    }
  }
  return all;
}

// [K] logits of one image with moves applied, by a whole pass of the generator and nothing shared.
inline torch::Tensor LiteralLogits(const TinyModel& tiny, int64_t image,
                                   const std::vector<Move>& moves) {
  torch::NoGradGuard no_grad;
  StyleVectors styles{tiny.styles.conv.narrow(0, image, 1).clone(),
                      tiny.styles.rgb.narrow(0, image, 1)};
  for (const Move& move : moves) {
    const torch::Tensor& extremes =
        move.coordinate.direction == 0 ? tiny.ranges.min : tiny.ranges.max;
    const double value = tiny.styles.conv[image][move.coordinate.index].item<double>();
    const double extreme = extremes[move.coordinate.index].item<double>();
    styles.conv[0][move.coordinate.index] = value + move.shift * (extreme - value);
  }
  return tiny.stylex.Logits(tiny.stylex.Synthesize(styles))[0];
}

}  // namespace stylex

#endif  // STYLEX_TESTS_EXPLAIN_TINY_MODEL_H_
