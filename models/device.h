// Which device the networks are on, by its name on a command line.
#ifndef STYLEX_MODELS_DEVICE_H_
#define STYLEX_MODELS_DEVICE_H_

#include <torch/types.h>

#include <string>

#include "absl/status/statusor.h"

namespace stylex {

// "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N". INVALID_ARGUMENT for any other name,
// FAILED_PRECONDITION when there is no such device; both say what would be right. A GPU's
// convolutions are set to float32, which LibTorch would round to TF32: too coarse for an answer.
absl::StatusOr<torch::Device> ParseDevice(const std::string& device);

// Why "auto" is the CPU here, as half a sentence: LibTorch was built without CUDA, or sees no GPU.
// Empty where there is a GPU.
std::string WhyNoGpu();

}  // namespace stylex

#endif  // STYLEX_MODELS_DEVICE_H_
