#include "trainer/training/adam_moments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>
#include <torch/serialize.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;

// Two parameters of which only the first ever has a gradient.
struct Trained {
  explicit Trained(bool weight_decay = false) {
    if (weight_decay) {
      optimizer = std::make_unique<torch::optim::AdamW>(parameters);
    } else {
      optimizer = std::make_unique<torch::optim::Adam>(parameters);
    }
  }
  void Step() {
    optimizer->zero_grad();
    parameters[0].pow(3).sum().backward();
    optimizer->step();
  }

  std::vector<torch::Tensor> parameters = {torch::tensor({1.0F, 2.0F}).set_requires_grad(true),
                                           torch::zeros({3}).set_requires_grad(true)};
  std::unique_ptr<torch::optim::Optimizer> optimizer;
};

InputArchive Reopen(const std::function<void(OutputArchive*)>& write) {
  OutputArchive out;
  write(&out);
  std::stringstream bytes;
  out.save_to(bytes);
  InputArchive in;
  in.load_from(bytes);
  return in;
}

// Whether the two take the same next step from the same parameters.
void ExpectTheSameNextStep(Trained* one, Trained* other) {
  {
    const torch::NoGradGuard no_grad;
    other->parameters[0].copy_(one->parameters[0]);
  }
  one->Step();
  other->Step();
  EXPECT_TRUE(one->parameters[0].equal(other->parameters[0]));
}

TEST(AdamMomentsTest, ComeBackFromTheirOwnFormat) {
  for (const bool weight_decay : {false, true}) {
    Trained one(weight_decay), other(weight_decay);
    one.Step();
    one.Step();
    InputArchive archive = Reopen([&](OutputArchive* out) { WriteMoments(*one.optimizer, out); });
    ASSERT_EQ(ReadMoments(&archive, other.optimizer.get()), absl::OkStatus());
    EXPECT_EQ(other.optimizer->state().size(), 1u) << "none for what was never changed";
    ExpectTheSameNextStep(&one, &other);
  }
}

// A training that diverges before its second state goes back to one of before the first step.
TEST(AdamMomentsTest, OfBeforeTheFirstStepThereAreNone) {
  for (const bool weight_decay : {false, true}) {
    Trained fresh(weight_decay), stepped(weight_decay);
    InputArchive archive = Reopen([&](OutputArchive* out) { WriteMoments(*fresh.optimizer, out); });
    stepped.Step();
    ASSERT_EQ(ReadMoments(&archive, stepped.optimizer.get()), absl::OkStatus());
    EXPECT_TRUE(stepped.optimizer->state().empty());
    ExpectTheSameNextStep(&fresh, &stepped);
  }
}

TEST(AdamMomentsTest, ComeBackFromWhatThisLibTorchSaves) {
  for (const bool weight_decay : {false, true}) {
    Trained one(weight_decay), other(weight_decay);
    one.Step();
    one.Step();
    InputArchive archive = Reopen([&](OutputArchive* out) { one.optimizer->save(*out); });
    ASSERT_EQ(ReadMoments(&archive, other.optimizer.get()), absl::OkStatus());
    ExpectTheSameNextStep(&one, &other);
  }
}

// As Optimizer::save lays it out, with addresses written the given way.
InputArchive SavedUnder(const std::vector<std::string>& addresses, const torch::Tensor& mean) {
  return Reopen([&](OutputArchive* out) {
    out->write("pytorch_version", c10::IValue("1.5.0"));
    OutputArchive states(out->compilation_unit()), one(out->compilation_unit());
    one.write("step", c10::IValue(int64_t{2}));
    one.write("exp_avg", mean, /*is_buffer=*/true);
    one.write("exp_avg_sq", mean.square(), /*is_buffer=*/true);
    states.write(addresses[0], one);
    out->write("state", states);
    OutputArchive groups(out->compilation_unit()), group(out->compilation_unit());
    groups.write("param_groups/size", torch::tensor(int64_t{1}));
    group.write("params/size", torch::tensor(static_cast<int64_t>(addresses.size())));
    for (size_t i = 0; i < addresses.size(); ++i) {
      group.write(absl::StrCat("params/", i), c10::IValue(addresses[i]));
    }
    groups.write("param_groups/0", group);
    out->write("param_groups", groups);
  });
}

TEST(AdamMomentsTest, AnAddressOfAnyLibTorchIsOnlyAName) {
  for (const std::vector<std::string>& addresses :
       {std::vector<std::string>{"0x55d2c8a3f0c0", "0x55d2c8a3f180"},
        std::vector<std::string>{"94363415605440", "94363415605632"}}) {
    const torch::Tensor mean = torch::tensor({0.5F, -0.25F});
    InputArchive archive = SavedUnder(addresses, mean);
    Trained run;
    ASSERT_EQ(ReadMoments(&archive, run.optimizer.get()), absl::OkStatus());
    ASSERT_EQ(run.optimizer->state().size(), 1u);
    const torch::optim::AdamParamState& read = AdamMoments(run.optimizer.get(), run.parameters[0]);
    EXPECT_EQ(read.step(), 2);
    EXPECT_TRUE(read.exp_avg().equal(mean));
    EXPECT_TRUE(read.exp_avg_sq().equal(mean.square()));
  }
}

TEST(AdamMomentsTest, OfOtherParametersChangeNothing) {
  const std::vector<std::string> three = {"1", "2", "3"}, two = {"1", "2"};
  for (const auto& [addresses, size, fault] :
       {std::tuple(three, 2, "moments of 3 parameters where this run has 2"),
        std::tuple(two, 4, "moments of parameter 0 have another shape")}) {
    InputArchive archive = SavedUnder(addresses, torch::ones({size}));
    Trained run;
    const absl::Status status = ReadMoments(&archive, run.optimizer.get());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(fault));
    EXPECT_TRUE(run.optimizer->state().empty());
  }
}

}  // namespace
}  // namespace stylex
