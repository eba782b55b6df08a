#include "models/classifier.h"

#include <torch/script.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/cpu/folded_mobilenet.h"

namespace stylex {
namespace {

double OrOne(double temperature) { return temperature == 0 ? 1 : temperature; }

class MobileNetClassifier : public Classifier {
 public:
  MobileNetClassifier(const MobileNetV2& network, double temperature)
      : network_(*network, 1 / OrOne(temperature)) {
    for (const torch::Tensor& parameter : network->parameters()) {
      num_parameters_ += parameter.numel();
    }
  }

  torch::Tensor Logits(const torch::Tensor& images) const override {
    return network_.Logits(images);
  }

  Features LogitsAndFeatures(const torch::Tensor& images) const override {
    MobileNetV2Impl::Features features = network_.ForwardWithFeatures(images);
    return {std::move(features.logits), std::move(features.taps)};
  }

  void To(const torch::Device& device) override { network_.To(device); }
  int64_t NumParameters() const override { return num_parameters_; }

 private:
  FoldedMobileNet network_;
  int64_t num_parameters_ = 0;
};

class TorchScriptClassifier : public Classifier {
 public:
  TorchScriptClassifier(torch::jit::Module module, double temperature)
      : module_(std::move(module)), scale_(1 / OrOne(temperature)) {
    module_.eval();
    for (torch::Tensor parameter : module_.parameters()) {
      parameter.requires_grad_(false);
    }
  }

  torch::Tensor Logits(const torch::Tensor& images) const override {
    // Module::forward is not const, but does not modify the module in evaluation mode.
    torch::jit::Module module = module_;
    return module.forward({images}).toTensor() * scale_;
  }

  void To(const torch::Device& device) override { module_.to(device); }

  int64_t NumParameters() const override {
    int64_t count = 0;
    for (const torch::Tensor& parameter : module_.parameters()) {
      count += parameter.numel();
    }
    return count;
  }

 private:
  torch::jit::Module module_;
  double scale_;
};

}  // namespace

std::unique_ptr<Classifier> MakeMobileNetClassifier(const MobileNetV2& network,
                                                    double temperature) {
  return std::make_unique<MobileNetClassifier>(network, temperature);
}

absl::StatusOr<std::unique_ptr<Classifier>> LoadTorchScriptClassifier(
    const std::string& path, int64_t image_channels, int64_t resolution, int64_t num_classes,
    double temperature, const std::string* content) {
  try {
    std::istringstream stream(content == nullptr ? std::string() : *content);
    auto classifier = std::make_unique<TorchScriptClassifier>(
        content == nullptr ? torch::jit::load(path, torch::Device(torch::kCPU))
                           : torch::jit::load(stream, torch::Device(torch::kCPU)),
        temperature);
    torch::NoGradGuard no_grad;
    const torch::Tensor logits =
        classifier->Logits(torch::zeros({1, image_channels, resolution, resolution}));
    if (logits.dim() != 2 || logits.size(0) != 1 || logits.size(1) != num_classes ||
        !logits.isfinite().all().item<bool>()) {
      std::ostringstream got;
      got << logits.sizes();
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": gave logits of shape ", got.str(), " for one image of ", image_channels, "x",
          resolution, "x", resolution, "; expected [1, ", num_classes, "], all finite"));
    }
    return classifier;
  } catch (const std::exception& error) {
    const std::string what = error.what();
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not a usable TorchScript classifier: ", what.substr(0, what.find('\n'))));
  }
}

}  // namespace stylex
