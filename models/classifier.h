// The explained classifier: the built-in MobileNetV2, or any network as a TorchScript file.
#ifndef STYLEX_MODELS_CLASSIFIER_H_
#define STYLEX_MODELS_CLASSIFIER_H_

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/networks/mobilenet_v2.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// Always frozen and in evaluation mode: gradients flow through it, never into its weights.
// Thread-safe.
class Classifier {
 public:
  virtual ~Classifier() = default;

  // images: [N, C, R, R] in [-1, 1] -> logits [N, K], divided by the configured temperature.
  virtual torch::Tensor Logits(const torch::Tensor& images) const = 0;

  struct Features {
    torch::Tensor logits;             // [N, K]
    std::vector<torch::Tensor> taps;  // activations at several depths; may be empty
  };
  // The same, with activations where the classifier has any.
  virtual Features LogitsAndFeatures(const torch::Tensor& images) const {
    return {Logits(images), {}};
  }

  // Moves all tensors; not thread-safe.
  virtual void To(const torch::Device& device) = 0;
  // Count of weights.
  virtual int64_t NumParameters() const = 0;
};

// Copies `network`, in evaluation mode. Temperature 0 means 1.
std::unique_ptr<Classifier> MakeMobileNetClassifier(const MobileNetV2& network, double temperature);

// Loads a TorchScript file, which is a program and runs with all that this process may do: callers
// take such files only from sources that their user trusts. Checks by a trial pass that [1,
// image_channels, R, R] gives [1, num_classes] finite logits. NOT_FOUND, or INVALID_ARGUMENT naming
// the file and what it did instead, what it is if it is no TorchScript, and what is needed.
// `content` is the file's, where it was read before; else it is read here.
absl::StatusOr<std::unique_ptr<Classifier>> LoadTorchScriptClassifier(
    const std::string& path, int64_t image_channels, int64_t resolution, int64_t num_classes,
    double temperature, const std::string* content = nullptr);

}  // namespace stylex

#endif  // STYLEX_MODELS_CLASSIFIER_H_
