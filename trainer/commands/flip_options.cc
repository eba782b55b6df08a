#include "trainer/commands/flip_options.h"

#include <torch/utils.h>

namespace stylex {

FlipOptions FlipOptionsOf(const EvaluateOptions& options, uint64_t seed, const Stylex& model) {
  FlipOptions flips;
  flips.images = options.flip_images;
  flips.seed = seed;
  flips.candidates = options.candidates;
  flips.joint_candidates = options.joint_candidates;
  flips.beam = options.beam;
  flips.workers = model.device().is_cpu() ? torch::get_num_threads() : 1;
  return flips;
}

}  // namespace stylex
