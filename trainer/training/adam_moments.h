// The moments of Adam and AdamW, found by parameter, and kept in files that every LibTorch reads.
#ifndef STYLEX_TRAINER_TRAINING_ADAM_MOMENTS_H_
#define STYLEX_TRAINER_TRAINING_ADAM_MOMENTS_H_

#include <torch/optim/adam.h>
#include <torch/optim/optimizer.h>
#include <torch/serialize.h>
#include <torch/types.h>

#include "absl/status/status.h"

namespace stylex {

// The moments of `parameter` in an Adam; zeros after no step if it has none yet.
torch::optim::AdamParamState& AdamMoments(torch::optim::Optimizer* adam,
                                          const torch::Tensor& parameter);

// OK, or FAILED_PRECONDITION: a moment that is not finite. Of an Adam or an AdamW.
absl::Status CheckFiniteMoments(const torch::optim::Optimizer& optimizer);

// Steps and moments of an Adam or an AdamW, by the parameters' positions; no options, which a run
// sets from its config. (LibTorch's own Optimizer::save writes the parameters' addresses, in
// LibTorch 1 as text that LibTorch 2 misreads.)
void WriteMoments(const torch::optim::Optimizer& optimizer,
                  torch::serialize::OutputArchive* archive);

// Reads what WriteMoments wrote, or what Optimizer::save of any LibTorch from 1.5 on wrote; moments
// of parameters that had none are forgotten.
// INVALID_ARGUMENT when the optimiser has other parameters, and then nothing is changed; throws
// what LibTorch throws for a broken archive.
absl::Status ReadMoments(torch::serialize::InputArchive* archive,
                         torch::optim::Optimizer* optimizer);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_ADAM_MOMENTS_H_
