#include "trainer/training/adam_moments.h"

#include <torch/optim/adamw.h>
#include <torch/utils.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;

struct Moments {
  int64_t step = 0;
  torch::Tensor mean, square;
};

// The key of an optimiser's state: the parameter's address, in LibTorch 1 as text.
template <typename Key>
Key KeyOf(const torch::Tensor& parameter) {
  if constexpr (std::is_same_v<Key, std::string>) {
    std::ostringstream address;
    address << parameter.unsafeGetTensorImpl();
    return address.str();
  } else {
    return parameter.unsafeGetTensorImpl();
  }
}

using StateKey = std::decay_t<decltype(std::declval<torch::optim::Optimizer&>().state())>::key_type;

std::vector<torch::Tensor> ParametersOf(const torch::optim::Optimizer& optimizer) {
  std::vector<torch::Tensor> parameters;
  for (const torch::optim::OptimizerParamGroup& group : optimizer.param_groups()) {
    parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  }
  return parameters;
}

// Empty before the parameter's first step.
std::optional<Moments> MomentsOf(const torch::optim::Optimizer& optimizer,
                                 const torch::Tensor& parameter) {
  const auto found = optimizer.state().find(KeyOf<StateKey>(parameter));
  if (found == optimizer.state().end()) {
    return std::nullopt;
  }
  const torch::optim::OptimizerParamState* state = found->second.get();
  if (const auto* adam = dynamic_cast<const torch::optim::AdamParamState*>(state)) {
    return Moments{adam->step(), adam->exp_avg(), adam->exp_avg_sq()};
  }
  const auto& adam_w = dynamic_cast<const torch::optim::AdamWParamState&>(*state);
  return Moments{adam_w.step(), adam_w.exp_avg(), adam_w.exp_avg_sq()};
}

template <typename ParamState>
std::unique_ptr<torch::optim::OptimizerParamState> MakeState(const Moments& moments) {
  auto state = std::make_unique<ParamState>();
  state->step(moments.step);
  state->exp_avg(moments.mean);
  state->exp_avg_sq(moments.square);
  return state;
}

void SetMoments(torch::optim::Optimizer* optimizer, const torch::Tensor& parameter,
                Moments moments) {
  moments.mean = moments.mean.to(parameter.device());
  moments.square = moments.square.to(parameter.device());
  optimizer->state()[KeyOf<StateKey>(parameter)] =
      dynamic_cast<torch::optim::AdamW*>(optimizer) != nullptr
          ? MakeState<torch::optim::AdamWParamState>(moments)
          : MakeState<torch::optim::AdamParamState>(moments);
}

Moments ReadOne(InputArchive* archive) {
  Moments moments;
  c10::IValue step;
  archive->read("step", step);
  moments.step = step.toInt();
  archive->read("exp_avg", moments.mean);
  archive->read("exp_avg_sq", moments.square);
  return moments;
}

int64_t ReadSize(InputArchive* archive, const std::string& name) {
  torch::Tensor size;
  archive->read(name, size);
  return size.item<int64_t>();
}

// What Optimizer::save wrote, in the order of the parameters: `state` has the moments under the
// addresses that the parameters had, `param_groups` the addresses by position. LibTorch 1 writes
// an address in hexadecimal, LibTorch 2 in decimal; either is only a name here.
std::vector<std::optional<Moments>> ReadSaved(InputArchive* archive) {
  InputArchive states, groups;
  archive->read("state", states);
  archive->read("param_groups", groups);
  std::vector<std::optional<Moments>> all;
  for (int64_t g = 0; g < ReadSize(&groups, "param_groups/size"); ++g) {
    InputArchive group;
    groups.read(absl::StrCat("param_groups/", g), group);
    for (int64_t i = 0; i < ReadSize(&group, "params/size"); ++i) {
      c10::IValue address;
      group.read(absl::StrCat("params/", i), address);
      InputArchive one;
      const bool stepped = states.try_read(address.toStringRef(), one);
      all.push_back(stepped ? std::optional(ReadOne(&one)) : std::nullopt);
    }
  }
  return all;
}

std::vector<std::optional<Moments>> ReadByPosition(InputArchive* archive) {
  std::vector<std::optional<Moments>> all;
  for (int64_t i = 0; i < ReadSize(archive, "size"); ++i) {
    InputArchive one;
    all.push_back(archive->try_read(absl::StrCat(i), one) ? std::optional(ReadOne(&one))
                                                          : std::nullopt);
  }
  return all;
}

}  // namespace

torch::optim::AdamParamState& AdamMoments(torch::optim::Optimizer* adam,
                                          const torch::Tensor& parameter) {
  std::unique_ptr<torch::optim::OptimizerParamState>& state =
      adam->state()[KeyOf<StateKey>(parameter)];
  if (state == nullptr) {
    state = MakeState<torch::optim::AdamParamState>(
        {0, torch::zeros_like(parameter, torch::MemoryFormat::Preserve),
         torch::zeros_like(parameter, torch::MemoryFormat::Preserve)});
  }
  return static_cast<torch::optim::AdamParamState&>(*state);
}

absl::Status CheckFiniteMoments(const torch::optim::Optimizer& optimizer) {
  for (const torch::Tensor& parameter : ParametersOf(optimizer)) {
    const std::optional<Moments> moments = MomentsOf(optimizer, parameter);
    if (moments.has_value() && !(moments->mean.isfinite().all().item<bool>() &&
                                 moments->square.isfinite().all().item<bool>())) {
      return absl::FailedPreconditionError("has moments that are not finite");
    }
  }
  return absl::OkStatus();
}

void WriteMoments(const torch::optim::Optimizer& optimizer, OutputArchive* archive) {
  const std::vector<torch::Tensor> parameters = ParametersOf(optimizer);
  archive->write("size", torch::tensor(static_cast<int64_t>(parameters.size())));
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::optional<Moments> moments = MomentsOf(optimizer, parameters[i]);
    if (moments.has_value()) {
      OutputArchive one(archive->compilation_unit());
      one.write("step", c10::IValue(moments->step));
      one.write("exp_avg", moments->mean, /*is_buffer=*/true);
      one.write("exp_avg_sq", moments->square, /*is_buffer=*/true);
      archive->write(absl::StrCat(i), one);
    }
  }
}

absl::Status ReadMoments(InputArchive* archive, torch::optim::Optimizer* optimizer) {
  torch::Tensor size;
  const std::vector<std::optional<Moments>> stored =
      archive->try_read("size", size) ? ReadByPosition(archive) : ReadSaved(archive);
  const std::vector<torch::Tensor> parameters = ParametersOf(*optimizer);
  if (stored.size() != parameters.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has moments of ", stored.size(), " parameters where this run has ", parameters.size()));
  }
  for (size_t i = 0; i < stored.size(); ++i) {
    if (stored[i].has_value() && stored[i]->mean.sizes() != parameters[i].sizes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("moments of parameter ", i, " have another shape than this run's"));
    }
  }
  for (size_t i = 0; i < stored.size(); ++i) {
    if (stored[i].has_value()) {
      SetMoments(optimizer, parameters[i], *stored[i]);
    } else {  // as before its first step
      optimizer->state().erase(KeyOf<StateKey>(parameters[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace stylex
