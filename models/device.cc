#include "models/device.h"

#include <ATen/Context.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/cores.h"

namespace stylex {
namespace {

int CountGpus() {
  return torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
}

}  // namespace

std::string WhyNoGpu() {
  if (CountGpus() > 0) {
    return "";
  }
  return at::Context::hasCUDART() ? "LibTorch sees no CUDA device here"
                                  : "the LibTorch in use was built without CUDA";
}

absl::StatusOr<torch::Device> ParseDevice(const std::string& device) {
  const int gpus = CountGpus();
  if (device == "cpu" || (device == "auto" && gpus == 0)) {
    return torch::Device(torch::kCPU);
  }
  absl::string_view number = device;
  int index = 0;
  if (device != "auto" && device != "cuda" &&
      !(absl::ConsumePrefix(&number, "cuda:") && absl::SimpleAtoi(number, &index))) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device ", device, ": expected auto, cpu, cuda or cuda:N"));
  }
  if (index < 0 || index >= gpus) {
    const std::string fault =
        gpus == 0 ? WhyNoGpu() : absl::StrCat("LibTorch sees ", gpus, " CUDA devices here");
    return absl::FailedPreconditionError(
        absl::StrCat("--device ", device, ": ", fault, "; use cpu or auto"));
  }
  at::globalContext().setAllowTF32CuDNN(false);
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
}

absl::StatusOr<torch::Device> ChooseDevice(const std::string& device, int threads) {
  // LibTorch's default is the number of physical cores, which it underestimates on some virtual
  // machines.
  torch::set_num_threads(threads > 0 ? threads : AvailableCores());
  return ParseDevice(device);
}

void PreferSpeed(const torch::Device& device) {
  if (device.is_cuda()) {
    at::globalContext().setAllowTF32CuDNN(true);
    at::globalContext().setAllowTF32CuBLAS(true);
  }
}

}  // namespace stylex
