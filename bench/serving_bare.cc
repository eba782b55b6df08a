// Measures the networks as Encode and Reconstruct use them, without a server; prints one JSON
// object. One image may be faster on one thread than on all: the better of the two counts.
//   serving_bare CHECKPOINT_VERSION_FOLDER
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <vector>

#include "models/checkpoint.h"

namespace {

double MedianMs(const std::function<void()>& pass) {
  std::vector<double> milliseconds;
  for (int i = 0; i < 220; ++i) {
    const auto start = std::chrono::steady_clock::now();
    pass();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (i >= 20) {
      milliseconds.push_back(took.count());
    }
  }
  std::nth_element(milliseconds.begin(), milliseconds.begin() + 100, milliseconds.end());
  return milliseconds[100];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: serving_bare CHECKPOINT_VERSION_FOLDER\n");
    return 2;
  }
  const torch::NoGradGuard no_grad;
  const auto checkpoint = stylex::LoadCheckpoint(argv[1]);
  if (!checkpoint.ok()) {
    std::fprintf(stderr, "%s\n", std::string(checkpoint.status().message()).c_str());
    return 1;
  }
  const stylex::Stylex& model = checkpoint->model;
  const int64_t side = model.config().resolution();
  const torch::Tensor image = torch::rand({1, model.config().image_channels(), side, side}) * 2 - 1;
  stylex::StyleVectors styles;
  double encode_ms = std::numeric_limits<double>::infinity();
  double synthesize_ms = encode_ms;
  for (const int threads : {at::get_num_threads(), 1}) {
    at::set_num_threads(threads);
    encode_ms = std::min(encode_ms, MedianMs([&] { styles = model.StylesOfImages(image); }));
    synthesize_ms = std::min(synthesize_ms, MedianMs([&] { model.LogitsOfStyles(styles); }));
  }
  std::printf("{\"encode_ms\": %.3f, \"synthesize_ms\": %.3f}\n", encode_ms, synthesize_ms);
  return 0;
}
