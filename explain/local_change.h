// A mask of where a counterfactual differs from its image, and that change carried over to another
// image.
//
// All images are [N, C, H, W] in [-1, 1] on one device; `before` and `after` are what the generator
// draws without and with the moves. Masks are computed on the CPU by one thread, so that every
// caller gets the same bits.
#ifndef STYLEX_EXPLAIN_LOCAL_CHANGE_H_
#define STYLEX_EXPLAIN_LOCAL_CHANGE_H_

#include <torch/types.h>

namespace stylex {

// A smooth mask of the change, [N, 1, H, W] in [0, 1]: 1 where the change, blurred over a 32nd of
// the side, is at least a quarter of its greatest, 0 where it is at most a twentieth of that, and
// between the two a smooth step. Depends on the two images alone; all 0 where they are equal.
torch::Tensor ChangeMask(const torch::Tensor& before, const torch::Tensor& after);

// `before` with the change under the mask alone.
torch::Tensor LocalChange(const torch::Tensor& before, const torch::Tensor& after);

// The change under the mask, added to the photograph that `before` reconstructs. What the
// reconstruction lacks stays as the photograph has it.
torch::Tensor ChangeOnPhotograph(const torch::Tensor& photograph, const torch::Tensor& before,
                                 const torch::Tensor& after);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_LOCAL_CHANGE_H_
