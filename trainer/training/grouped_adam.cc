#include "trainer/training/grouped_adam.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <vector>

#include "models/cpu/training_kernels.h"
#include "trainer/training/adam_moments.h"

namespace stylex {
namespace {

// Parameters that have taken the same number of steps and therefore have the same bias corrections.
struct Group {
  std::vector<torch::Tensor> parameters, gradients, means, squares;
};

constexpr int64_t kValuesPerTask = 32768;

bool IsPlain(const torch::Tensor& tensor) {
  return tensor.is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == torch::kFloat32;
}

bool IsPlain(const Group& group) {
  for (const auto* tensors : {&group.parameters, &group.gradients, &group.means, &group.squares}) {
    if (!std::all_of(tensors->begin(), tensors->end(),
                     [](const torch::Tensor& tensor) { return IsPlain(tensor); })) {
      return false;
    }
  }
  return true;
}

// One pass over the values instead of ten.
void StepPlainGroup(const Group& group, const kernels::AdamStep& by) {
  for (size_t p = 0; p < group.parameters.size(); ++p) {
    float* const parameter = group.parameters[p].data_ptr<float>();
    float* const mean = group.means[p].data_ptr<float>();
    float* const square = group.squares[p].data_ptr<float>();
    const float* const gradient = group.gradients[p].data_ptr<float>();
    at::parallel_for(0, group.parameters[p].numel(), kValuesPerTask,
                     [&](int64_t begin, int64_t end) {
                       kernels::StepAdam(by, end - begin, gradient + begin, mean + begin,
                                         square + begin, parameter + begin);
                     });
  }
}

void StepGroup(const Group& group, int64_t step, const torch::optim::AdamOptions& options) {
  const auto [beta1, beta2] = options.betas();
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(step));
  if (IsPlain(group)) {
    StepPlainGroup(
        group, {static_cast<float>(beta1), static_cast<float>(beta2),
                static_cast<float>(options.lr() / correction1),
                static_cast<float>(1 / std::sqrt(correction2)), static_cast<float>(options.eps())});
    return;
  }
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
