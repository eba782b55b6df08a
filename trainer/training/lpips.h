// LPIPS, version 0.1 (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features", §3.2;
// algorithms §4.6): how different two pictures look, in the terms of an image classifier trained on
// ImageNet, with each channel weighted as people's judgements have it. StylEx's perceptual loss.
#ifndef STYLEX_TRAINER_TRAINING_LPIPS_H_
#define STYLEX_TRAINER_TRAINING_LPIPS_H_

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace stylex {

struct LpipsTrunk;  // the layers of AlexNet, VGG16 or SqueezeNet 1.1

// Frozen: gradients flow through it, never into it. Thread-safe once it is where it shall be.
class Lpips {
 public:
  // A safetensors file that holds the trunk's convolutions under torchvision's names
  // ("features.0.weight", "features.0.bias", ...) and the linear heads under those of the published
  // files ("lin0.model.1.weight" [1, C, 1, 1], ...), nothing else. Which of the three networks it
  // is, its first convolution and its layers' names say. INVALID_ARGUMENT names the file, the
  // tensor, the shape that was found and the one that was expected; reading's errors as they are.
  static absl::StatusOr<std::unique_ptr<Lpips>> Load(const std::string& path);

  // a, b: [N, C, R, R] in [-1, 1], not clamped, float32 or float64, 1 or 3 channels (grey is
  // repeated), R at least smallest_resolution() -> [N]. For every depth: the squared difference of
  // the activations, each position's channel vector scaled to length 1, weighted by the head and
  // averaged over positions; the sum over depths.
  torch::Tensor Distance(const torch::Tensor& a, const torch::Tensor& b) const;

  // "AlexNet", "VGG16" or "SqueezeNet 1.1".
  std::string trunk() const;
  // Of the file that it was loaded from, lower-case hexadecimal.
  const std::string& sha256() const { return sha256_; }
  // Pixels below which the trunk's pooling has nothing left.
  int64_t smallest_resolution() const;
  void To(const torch::Device& device);

 private:
  explicit Lpips(const LpipsTrunk& trunk);
  torch::Tensor Convolve(const std::string& name, const torch::Tensor& x, int64_t stride,
                         int64_t padding) const;
  // Activations after each tapped layer.
  std::vector<torch::Tensor> Features(const torch::Tensor& images) const;

  const LpipsTrunk& trunk_;
  std::map<std::string, torch::Tensor> weights_;  // under the file's names
  std::string sha256_;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_LPIPS_H_
