#include "trainer/training/grouped_adam.h"

#include <gtest/gtest.h>
#include <torch/optim/adam.h>
#include <torch/serialize.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <sstream>
#include <vector>

namespace stylex {
namespace {

torch::optim::AdamOptions Options(double beta1) {
  return torch::optim::AdamOptions(0.01).betas({beta1, 0.99}).eps(1e-8);
}

std::vector<torch::Tensor> Parameters() {
  torch::manual_seed(5);
  return {torch::randn({4, 3, 3, 3}).requires_grad_(true), torch::randn({4}).requires_grad_(true),
          torch::randn({}).requires_grad_(true)};
}

// Gradients of step `step`; every third step leaves out the second parameter.
void SetGradients(int step, const std::vector<torch::Tensor>& parameters) {
  torch::manual_seed(100 + step);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const torch::Tensor gradient = torch::randn_like(parameters[i]);
    parameters[i].mutable_grad() = i == 1 && step % 3 == 2 ? torch::Tensor() : gradient;
  }
}

void ExpectSame(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(torch::allclose(a[i], b[i], 1e-6, 1e-7)) << i << ": " << a[i] << b[i];
  }
}

class GroupedAdamTest : public testing::TestWithParam<double> {};

TEST_P(GroupedAdamTest, StepsAsLibTorchsDoes) {
  const std::vector<torch::Tensor> ours = Parameters(), theirs = Parameters();
  GroupedAdam grouped(ours, Options(GetParam()));
  torch::optim::Adam reference(theirs, Options(GetParam()));
  for (int step = 0; step < 20; ++step) {
    SetGradients(step, ours);
    SetGradients(step, theirs);
    grouped.step();
    reference.step();
    ExpectSame(ours, theirs);
  }
}

// Tensors that lie in memory otherwise are not stepped by the kernel; the result is the same.
TEST_P(GroupedAdamTest, OtherLayoutsStepAlike) {
  const std::vector<torch::Tensor> plain = Parameters();
  std::vector<torch::Tensor> others;
  for (const torch::Tensor& parameter : plain) {
    const torch::Tensor copy = parameter.detach().clone();
    others.push_back((copy.dim() == 4 ? copy.contiguous(torch::MemoryFormat::ChannelsLast) : copy)
                         .requires_grad_(true));
  }
  ASSERT_FALSE(others[0].is_contiguous());
  GroupedAdam first(plain, Options(GetParam())), second(others, Options(GetParam()));
  for (int step = 0; step < 10; ++step) {
    SetGradients(step, plain);
    for (size_t i = 0; i < plain.size(); ++i) {
      others[i].mutable_grad() = plain[i].grad();
    }
    first.step();
    second.step();
    ExpectSame(plain, others);
  }
}

TEST_P(GroupedAdamTest, GoesOnFromAStateOfLibTorchs) {
  const std::vector<torch::Tensor> ours = Parameters(), theirs = Parameters();
  torch::optim::Adam reference(theirs, Options(GetParam()));
  for (int step = 0; step < 5; ++step) {
    SetGradients(step, theirs);
    reference.step();
  }
  std::stringstream saved;
  torch::save(reference, saved);
  GroupedAdam grouped(ours, Options(GetParam()));
  torch::load(grouped, saved);
  {
    const torch::NoGradGuard no_grad;
    for (size_t i = 0; i < ours.size(); ++i) {
      ours[i].copy_(theirs[i]);
    }
  }
  for (int step = 5; step < 10; ++step) {
    SetGradients(step, ours);
    SetGradients(step, theirs);
    grouped.step();
    reference.step();
  }
  ExpectSame(ours, theirs);
}

INSTANTIATE_TEST_SUITE_P(FirstBeta, GroupedAdamTest, testing::Values(0.0, 0.9));

TEST(GroupedAdamTest, RefusesWhatItDoesNotDo) {
  GroupedAdam decaying(Parameters(), Options(0.9).weight_decay(0.1));
  EXPECT_THROW(decaying.step(), c10::Error);
  GroupedAdam plain(Parameters(), Options(0.9));
  EXPECT_THROW(plain.step([] { return torch::zeros({}); }), c10::Error);
}

}  // namespace
}  // namespace stylex
