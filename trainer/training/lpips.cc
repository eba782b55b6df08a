#include "trainer/training/lpips.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "models/checkpoint/safetensors.h"

namespace stylex {
enum class LpipsLayerKind {
  kConv,  // convolution and ReLU
  kPool,  // the trunk's max-pooling
  kFire,  // SqueezeNet's: 1x1 to few channels, then 1x1 and 3x3 side by side; a ReLU after each
};

struct LpipsLayer {
  LpipsLayerKind kind = LpipsLayerKind::kPool;
  int64_t index = 0;  // N of torchvision's "features.N"; a ReLU there has a number of its own
  int64_t in = 0;
  int64_t out = 0;     // of a fire layer: both halves together
  int64_t kernel = 0;  // of a fire layer: squeezed channels
  int64_t stride = 1;
  int64_t padding = 0;
  bool tapped = false;  // its output enters the distance
};

struct LpipsTrunk {
  const char* name;
  int64_t smallest_resolution;
  int64_t pool;                    // side of the pooling window; its stride is 2
  bool pool_the_rest;              // ceil_mode: keeps a partial last window
  std::vector<LpipsLayer> layers;  // up to the last tapped one
};

namespace {

constexpr LpipsLayer Conv(int64_t index, int64_t in, int64_t out, bool tapped, int64_t kernel = 3,
                          int64_t stride = 1, int64_t padding = 1) {
  return {LpipsLayerKind::kConv, index, in, out, kernel, stride, padding, tapped};
}

constexpr LpipsLayer Fire(int64_t index, int64_t in, int64_t squeezed, int64_t out, bool tapped) {
  return {LpipsLayerKind::kFire, index, in, out, squeezed, 1, 1, tapped};
}

constexpr LpipsLayer kPool = {};

const LpipsTrunk& AlexNet() {
  static const LpipsTrunk* const trunk =
      new LpipsTrunk{"AlexNet",
                     32,
                     3,
                     false,
                     {Conv(0, 3, 64, true, /*kernel=*/11, /*stride=*/4, /*padding=*/2), kPool,
                      Conv(3, 64, 192, true, /*kernel=*/5, /*stride=*/1, /*padding=*/2), kPool,
                      Conv(6, 192, 384, true), Conv(8, 384, 256, true), Conv(10, 256, 256, true)}};
  return *trunk;
}

const LpipsTrunk& Vgg16() {
  static const LpipsTrunk* const trunk = new LpipsTrunk{
      "VGG16",
      16,
      2,
      false,
      {Conv(0, 3, 64, false), Conv(2, 64, 64, true), kPool, Conv(5, 64, 128, false),
       Conv(7, 128, 128, true), kPool, Conv(10, 128, 256, false), Conv(12, 256, 256, false),
       Conv(14, 256, 256, true), kPool, Conv(17, 256, 512, false), Conv(19, 512, 512, false),
       Conv(21, 512, 512, true), kPool, Conv(24, 512, 512, false), Conv(26, 512, 512, false),
       Conv(28, 512, 512, true)}};
  return *trunk;
}

const LpipsTrunk& SqueezeNet() {
  static const LpipsTrunk* const trunk =
      new LpipsTrunk{"SqueezeNet 1.1",
                     32,
                     3,
                     true,
                     {Conv(0, 3, 64, true, /*kernel=*/3, /*stride=*/2, /*padding=*/0), kPool,
                      Fire(3, 64, 16, 128, false), Fire(4, 128, 16, 128, true), kPool,
                      Fire(6, 128, 32, 256, false), Fire(7, 256, 32, 256, true), kPool,
                      Fire(9, 256, 48, 384, true), Fire(10, 384, 48, 384, true),
                      Fire(11, 384, 64, 512, true), Fire(12, 512, 64, 512, true)}};
  return *trunk;
}

std::string LayerName(const LpipsLayer& layer) { return absl::StrCat("features.", layer.index); }

std::string HeadName(size_t depth) { return absl::StrCat("lin", depth, ".model.1.weight"); }

// Identifies the trunk from the shapes in the file.
absl::StatusOr<const LpipsTrunk*> Recognise(const SafeTensors& stored, const std::string& path) {
  constexpr char kFirst[] = "features.0.weight";
  constexpr char kExpected[] = "[64, 3, 11, 11] (AlexNet) or [64, 3, 3, 3] (VGG16, SqueezeNet 1.1)";
  const auto first = stored.tensors.find(kFirst);
  if (first == stored.tensors.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has no tensor ", kFirst, " of shape ", kExpected));
  }
  const torch::IntArrayRef shape = first->second.sizes();
  if (shape == torch::IntArrayRef({64, 3, 11, 11})) {
    return &AlexNet();
  }
  if (shape == torch::IntArrayRef({64, 3, 3, 3})) {
    return stored.tensors.contains("features.3.squeeze.weight") ? &SqueezeNet() : &Vgg16();
  }
  return absl::InvalidArgumentError(absl::StrCat(path, ": tensor ", kFirst, " has shape ",
                                                 ShapeText(first->second), ", expected ",
                                                 kExpected));
}

void AddConvolution(const std::string& name, int64_t in, int64_t out, int64_t kernel,
                    std::map<std::string, torch::Tensor>* weights) {
  (*weights)[name + ".weight"] = torch::zeros({out, in, kernel, kernel});
  (*weights)[name + ".bias"] = torch::zeros({out});
}

// Each position's channel vector scaled to length 1.
torch::Tensor UnitLength(const torch::Tensor& x) {
  // The published code adds 1e-10 to the length instead, which leaves the square root without a
  // gradient at positions where no channel is active.
  return x * torch::rsqrt(x.square().sum(1, /*keepdim=*/true) + 1e-20);
}

}  // namespace

Lpips::Lpips(const LpipsTrunk& trunk) : trunk_(trunk) {
  size_t depth = 0;
  for (const LpipsLayer& layer : trunk.layers) {
    const std::string name = LayerName(layer);
    if (layer.kind == LpipsLayerKind::kConv) {
      AddConvolution(name, layer.in, layer.out, layer.kernel, &weights_);
    } else if (layer.kind == LpipsLayerKind::kFire) {
      const int64_t squeezed = layer.kernel;
      AddConvolution(name + ".squeeze", layer.in, squeezed, 1, &weights_);
      AddConvolution(name + ".expand1x1", squeezed, layer.out / 2, 1, &weights_);
      AddConvolution(name + ".expand3x3", squeezed, layer.out / 2, 3, &weights_);
    }
    if (layer.tapped) {
      weights_[HeadName(depth++)] = torch::zeros({1, layer.out, 1, 1});
    }
  }
}

absl::StatusOr<std::unique_ptr<Lpips>> Lpips::Load(const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  STYLEX_ASSIGN_OR_RETURN(const SafeTensors stored, ParseSafeTensors(bytes, path));
  STYLEX_ASSIGN_OR_RETURN(const LpipsTrunk* const trunk, Recognise(stored, path));
  std::unique_ptr<Lpips> lpips(new Lpips(*trunk));
  STYLEX_RETURN_IF_ERROR(
      CopyTensors(stored, path, absl::StrCat("LPIPS with ", trunk->name), lpips->weights_));
  lpips->sha256_ = Sha256(bytes);
  return lpips;
}

std::string Lpips::trunk() const { return trunk_.name; }

int64_t Lpips::smallest_resolution() const { return trunk_.smallest_resolution; }

void Lpips::To(const torch::Device& device) {
  for (auto& [name, weight] : weights_) {
    weight = weight.to(device);
  }
}

torch::Tensor Lpips::Convolve(const std::string& name, const torch::Tensor& x, int64_t stride,
                              int64_t padding) const {
  const auto weight = [&](const char* part) {
    return weights_.at(name + part).to(x.scalar_type());
  };
  return torch::conv2d(x, weight(".weight"), weight(".bias"), stride, padding).relu();
}

std::vector<torch::Tensor> Lpips::Features(const torch::Tensor& images) const {
  // ImageNet's mean and standard deviation, converted to the range [-1, 1].
  const torch::Tensor shift =
      torch::tensor({-0.030, -0.088, -0.188}, images.options()).view({1, 3, 1, 1});
  const torch::Tensor scale =
      torch::tensor({0.458, 0.448, 0.450}, images.options()).view({1, 3, 1, 1});
  torch::Tensor x = (images - shift) / scale;  // grey is broadcast to three channels
  std::vector<torch::Tensor> features;
  for (const LpipsLayer& layer : trunk_.layers) {
    const std::string name = LayerName(layer);
    switch (layer.kind) {
      case LpipsLayerKind::kConv:
        x = Convolve(name, x, layer.stride, layer.padding);
        break;
      case LpipsLayerKind::kPool:
        x = torch::max_pool2d(x, trunk_.pool, /*stride=*/2, /*padding=*/0, /*dilation=*/1,
                              trunk_.pool_the_rest);
        break;
      case LpipsLayerKind::kFire:
        x = Convolve(name + ".squeeze", x, 1, 0);
        x = torch::cat(
            {Convolve(name + ".expand1x1", x, 1, 0), Convolve(name + ".expand3x3", x, 1, 1)}, 1);
        break;
    }
    if (layer.tapped) {
      features.push_back(x);
    }
  }
  return features;
}

torch::Tensor Lpips::Distance(const torch::Tensor& a, const torch::Tensor& b) const {
  const std::vector<torch::Tensor> of_a = Features(a);
  const std::vector<torch::Tensor> of_b = Features(b);
  torch::Tensor distance = torch::zeros({a.size(0)}, a.options());
  for (size_t depth = 0; depth < of_a.size(); ++depth) {
    const torch::Tensor difference = (UnitLength(of_a[depth]) - UnitLength(of_b[depth])).square();
    const torch::Tensor head = weights_.at(HeadName(depth)).to(a.scalar_type());
    distance = distance + (difference * head).sum(1).mean({1, 2});
  }
  return distance;
}

}  // namespace stylex
