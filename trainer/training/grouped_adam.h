// Adam for networks of many small tensors.
#ifndef STYLEX_TRAINER_TRAINING_GROUPED_ADAM_H_
#define STYLEX_TRAINER_TRAINING_GROUPED_ADAM_H_

#include <torch/optim/adam.h>
#include <torch/types.h>

namespace stylex {

// torch::optim::Adam without weight decay and AMSGrad; a step runs a dozen operators over all
// parameters together instead of a dozen for each, because on a GPU their launches cost more than
// the arithmetic. Same numbers, same saved state.
class GroupedAdam : public torch::optim::Adam {
 public:
  using Adam::Adam;

  // Takes no closure. Parameters without a gradient are unchanged, and their step is not counted.
  torch::Tensor step(LossClosure closure = nullptr) override;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_GROUPED_ADAM_H_
