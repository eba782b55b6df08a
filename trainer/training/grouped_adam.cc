#include "trainer/training/grouped_adam.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <map>
#include <tuple>
#include <vector>

#include "trainer/training/adam_moments.h"

namespace stylex {
namespace {

// Parameters that have taken the same number of steps and therefore have the same bias corrections.
struct Group {
  std::vector<torch::Tensor> parameters, gradients, means, squares;
};

void StepGroup(const Group& group, int64_t step, const torch::optim::AdamOptions& options) {
  const auto [beta1, beta2] = options.betas();
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(step));
  at::_foreach_mul_(group.means, beta1);
  at::_foreach_add_(group.means, group.gradients, 1 - beta1);
  at::_foreach_mul_(group.squares, beta2);
  at::_foreach_addcmul_(group.squares, group.gradients, group.gradients, 1 - beta2);
  const std::vector<torch::Tensor> deviations = at::_foreach_sqrt(group.squares);
  at::_foreach_div_(deviations, std::sqrt(correction2));
  at::_foreach_add_(deviations, options.eps());
  at::_foreach_addcdiv_(group.parameters, group.means, deviations, -options.lr() / correction1);
}

}  // namespace

torch::Tensor GroupedAdam::step(LossClosure closure) {
  TORCH_CHECK(closure == nullptr, "GroupedAdam takes no closure");
  const torch::NoGradGuard no_grad;
  for (torch::optim::OptimizerParamGroup& parameters : param_groups_) {
    const auto& options = static_cast<const torch::optim::AdamOptions&>(parameters.options());
    TORCH_CHECK(options.weight_decay() == 0 && !options.amsgrad(),
                "GroupedAdam has neither weight decay nor AMSGrad");
    std::map<int64_t, Group> groups;
    for (torch::Tensor& parameter : parameters.params()) {
      if (!parameter.grad().defined()) {
        continue;
      }
      torch::optim::AdamParamState& state = AdamMoments(this, parameter);
      state.step(state.step() + 1);
      Group& group = groups[state.step()];
      group.parameters.push_back(parameter);
      group.gradients.push_back(parameter.grad());
      group.means.push_back(state.exp_avg());
      group.squares.push_back(state.exp_avg_sq());
    }
    for (const auto& [step, group] : groups) {
      StepGroup(group, step, options);
    }
  }
  return {};
}

}  // namespace stylex
