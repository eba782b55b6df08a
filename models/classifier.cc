#include "models/classifier.h"

#include <torch/script.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exceptions.h"
#include "models/cpu/folded_mobilenet.h"
#include "models/model_file_kind.h"

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
    for (const torch::Tensor& parameter : module_.parameters()) {
      parameter.requires_grad_(false);
    }
  }

  torch::Tensor Logits(const torch::Tensor& images) const override {
    // Module::forward is not const, but does not modify the module in evaluation mode.
    torch::jit::Module module = module_;
    const torch::jit::IValue output = module.forward({images});
    if (!output.isTensor()) {
      throw std::invalid_argument("gives a " + output.tagKind() +
                                  " instead of one tensor of logits");
    }
    return output.toTensor() * scale_;
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

// Says what the file is, or why LibTorch cannot read it.
absl::Status CannotBeLoaded(const std::string& path, const std::exception& failure) {
  const std::string kind = ModelFileKind(path);
  if (kind == "TorchScript") {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": a TorchScript file that LibTorch ", TORCH_VERSION,
        " cannot load: ", CauseOf(failure),
        ". Operators of other libraries (torchvision's) and those of later versions are "
        "not known; save it with PyTorch ",
        TORCH_VERSION_MAJOR, ".", TORCH_VERSION_MINOR, " or earlier"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": ", kind.empty() ? "not a TorchScript file" : absl::StrCat("this is ", kind), ". ",
      kHowToScript));
}

}  // namespace

std::unique_ptr<Classifier> MakeMobileNetClassifier(const MobileNetV2& network,
                                                    double temperature) {
  return std::make_unique<MobileNetClassifier>(network, temperature);
}

absl::StatusOr<std::unique_ptr<Classifier>> LoadTorchScriptClassifier(
    const std::string& path, int64_t image_channels, int64_t resolution, int64_t num_classes,
    double temperature, const std::string* content) {
  std::error_code error;
  if (content == nullptr && !std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file. ", kHowToScript));
  }
  std::unique_ptr<TorchScriptClassifier> classifier;
  try {
    std::istringstream stream(content == nullptr ? std::string() : *content);
    classifier = std::make_unique<TorchScriptClassifier>(
        content == nullptr ? torch::jit::load(path, torch::Device(torch::kCPU))
                           : torch::jit::load(stream, torch::Device(torch::kCPU)),
        temperature);
  } catch (const std::exception& failure) {
    return CannotBeLoaded(path, failure);
  }
  const std::string given = absl::StrCat("one image of ", image_channels, "x", resolution, "x",
                                         resolution, ", float32 in [-1, 1]");
  try {
    torch::NoGradGuard no_grad;
    const torch::Tensor logits =
        classifier->Logits(torch::zeros({1, image_channels, resolution, resolution}));
    if (logits.dim() == 2 && logits.size(0) == 1 && logits.size(1) == num_classes &&
        !logits.isfinite().all().item<bool>()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": gave logits that are not finite for ", given));
    }
    if (logits.dim() != 2 || logits.size(0) != 1 || logits.size(1) != num_classes) {
      std::ostringstream got;
      got << logits.sizes();
      return absl::InvalidArgumentError(absl::StrCat(path, ": gave logits of shape ", got.str(),
                                                     " for ", given, "; expected [1, ", num_classes,
                                                     "]"));
    }
  } catch (const std::exception& failure) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": fails for ", given, ": ", CauseOf(failure),
        ". What the network needs otherwise (size, range, type) belongs into a wrapper around it"));
  }
  return classifier;
}

}  // namespace stylex
