// LPIPS, version 0.1 (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features", §3.2):
// perceptual distance of two images, computed from the activations of an ImageNet classifier with
// channels weighted to fit human judgements. StylEx's perceptual loss.
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

// Frozen: gradients flow through it, never into its weights. Thread-safe once it is on its device.
class Lpips {
 public:
  // A safetensors file that holds the trunk's convolutions under torchvision's names
  // ("features.0.weight", "features.0.bias", ...) and the linear heads under those of the published
  // files ("lin0.model.1.weight" [1, C, 1, 1], ...), nothing else. The first convolution and the
  // layers' names tell which of the three networks it is. INVALID_ARGUMENT names the file, the
  // tensor, and the shapes found and expected; read errors are passed on unchanged.
  static absl::StatusOr<std::unique_ptr<Lpips>> Load(const std::string& path);

  // a, b: [N, C, R, R] in [-1, 1], not clamped, float32 or float64, 1 or 3 channels (grey is
  // repeated), R at least smallest_resolution() -> [N]. For every depth: the squared difference of
  // the activations, each position's channel vector scaled to length 1, weighted by the head and
  // averaged over positions; the sum over depths.
  torch::Tensor Distance(const torch::Tensor& a, const torch::Tensor& b) const;

  // "AlexNet", "VGG16" or "SqueezeNet 1.1".
  std::string trunk() const;
  // SHA-256 of the file that it was loaded from, lower-case hexadecimal.
  const std::string& sha256() const { return sha256_; }
  // Side in pixels below which the trunk's pooling would produce an empty output.
  int64_t smallest_resolution() const;
  // Moves all tensors; not thread-safe.
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
