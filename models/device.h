// The device of the networks, from its name on a command line.
#ifndef STYLEX_MODELS_DEVICE_H_
#define STYLEX_MODELS_DEVICE_H_

#include <torch/types.h>

#include <string>

#include "absl/status/statusor.h"

namespace stylex {

// "auto" (CUDA if available), "cpu", "cuda" or "cuda:N". INVALID_ARGUMENT for any other name,
// FAILED_PRECONDITION when there is no such device; both name the valid values. Sets a GPU's
// convolutions to float32: LibTorch's default of TF32 is too coarse for answers.
absl::StatusOr<torch::Device> ParseDevice(const std::string& device);

// As ParseDevice, and sets LibTorch's threads; 0: all cores.
absl::StatusOr<torch::Device> ChooseDevice(const std::string& device, int threads);

// Allows TF32 in convolutions and matrix products on a GPU. For training only.
void PreferSpeed(const torch::Device& device);

// Why "auto" is the CPU here, as half a sentence: LibTorch was built without CUDA, or sees no GPU.
// Empty where there is a GPU.
std::string WhyNoGpu();

}  // namespace stylex

#endif  // STYLEX_MODELS_DEVICE_H_
