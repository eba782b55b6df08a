#include "trainer/training/run_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trainer/training/train_config.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::TrainConfig Resolved(const v1::TrainConfig& given) { return ResolveConfig(given).value(); }

StoredRun Stored(const v1::TrainConfig& given) {
  StoredRun run;
  run.path = "w/state.pt";
  *run.record.mutable_given() = given;
  *run.record.mutable_config() = Resolved(given);
  return run;
}

TEST(RunRecordTest, WhatOnlyThePresetHasChangedIsAsItWas) {
  v1::TrainConfig given;
  given.mutable_stylex()->set_batch_size(16);
  StoredRun stored = Stored(given);
  // Another preset then: one value was different, one did not exist.
  stored.record.mutable_config()->mutable_stylex()->set_r1_gamma(7);
  stored.record.mutable_config()->mutable_stylex()->clear_ema_ramp();
  const auto config = ConfigToGoOnWith(stored, true, given, Resolved(given), "classifier.");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->stylex().r1_gamma(), 7);
  EXPECT_FALSE(config->stylex().has_ema_ramp());
}

TEST(RunRecordTest, WhatWasGivenOtherwiseIsNamedWithBothValues) {
  v1::TrainConfig then, now;
  then.mutable_stylex()->set_r1_gamma(7);
  then.mutable_stylex()->set_batch_size(16);
  now.mutable_stylex()->set_batch_size(8);
  now.mutable_stylex()->mutable_weights()->set_l2(20);
  now.mutable_model()->mutable_generator()->add_channels(64);
  for (const int channels : {32, 32, 32, 16}) {
    now.mutable_model()->mutable_generator()->add_channels(channels);
  }
  const absl::Status status =
      ConfigToGoOnWith(Stored(then), true, now, Resolved(now), "classifier.").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("w/state.pt"), HasSubstr("stylex.batchSize is 8, there 16"),
                    HasSubstr("stylex.r1Gamma is 0.1, there 7"),  // given then, not now
                    HasSubstr("stylex.weights.l2 is 20, there 0"),
                    HasSubstr("model.generator.channels is [64, 32, 32, 32, 16], there [128, 128, "
                              "128, 64, 32]")));
}

TEST(RunRecordTest, LengthAndIntervalsMayChange) {
  v1::TrainConfig then, now;
  then.mutable_stylex()->set_images(1000);
  now.mutable_stylex()->set_images(2000);
  now.mutable_stylex()->set_save_interval_images(50);
  const auto config = ConfigToGoOnWith(Stored(then), true, now, Resolved(now), "classifier.");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->stylex().images(), 2000);
  EXPECT_EQ(config->stylex().save_interval_images(), 50);
  // Without a config, all is as it was.
  const auto same = ConfigToGoOnWith(Stored(then), false, {}, Resolved({}), "classifier.");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->stylex().images(), 1000);
}

TEST(RunRecordTest, WhatTheRunDoesNotUseMayChange) {
  v1::TrainConfig now;
  now.mutable_classifier()->set_epochs(99);
  EXPECT_TRUE(ConfigToGoOnWith(Stored({}), true, now, Resolved(now), "classifier.").ok());
  EXPECT_FALSE(ConfigToGoOnWith(Stored({}), true, now, Resolved(now), "stylex.").ok());
}

TEST(RunRecordTest, ReadsWhatEarlierVersionsWrote) {
  const auto stylex = ParseFormerFingerprint(
      "preset: \"default\" data { horizontal_flip: true description: \"a seed 7\" } model { "
      "resolution: 16 labels: \"a\" labels: \"b\" } stylex { batch_size: 4 generator_lr: 0.002 } "
      "seed 3 lpips 0123 started from 4567");
  ASSERT_TRUE(stylex.ok()) << stylex.status();
  EXPECT_EQ(stylex->seed(), 3);
  EXPECT_EQ(stylex->lpips(), "0123");
  EXPECT_EQ(stylex->started_from(), "4567");
  EXPECT_EQ(stylex->config().stylex().generator_lr(), 0.002);
  EXPECT_EQ(stylex->config().model().labels(1), "b");
  const auto classifier = ParseFormerFingerprint(
      "epochs: 3 batch_size: 8 learning_rate: 0.001 shift_pixels: 2 resolution: 16 image_channels: "
      "3 labels: \"dark\" labels: \"light\" seed 1");
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  EXPECT_EQ(classifier->config().classifier().epochs(), 3);
  EXPECT_EQ(classifier->config().model().resolution(), 16);
  EXPECT_EQ(classifier->seed(), 1);
  const absl::Status unknown =
      ParseFormerFingerprint("preset: \"default\" stylex { no_such_field: 1 } seed 1").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("no_such_field"));
}

TEST(RunRecordTest, InputsAreCompared) {
  StoredRun stored = Stored({});
  stored.record.mutable_config()->mutable_model()->add_labels("cat");
  stored.record.mutable_config()->mutable_model()->add_labels("dog");
  stored.record.set_classifier("aaaa");
  v1::RunRecord now = stored.record;
  EXPECT_EQ(CompareInputs(stored, now), absl::OkStatus());
  now.set_classifier("bbbb");
  now.mutable_config()->mutable_model()->set_labels(0, "dog");
  now.mutable_config()->mutable_model()->set_labels(1, "cat");
  now.set_lpips("cccc");
  now.set_started_from("0123");
  const std::string message(CompareInputs(stored, now).message());
  EXPECT_THAT(message, AllOf(HasSubstr("the classes are dog, cat, there cat, dog"),
                             HasSubstr("the classifier has SHA-256 bbbb, there SHA-256 aaaa"),
                             HasSubstr("--lpips-weights has SHA-256 cccc, there none"),
                             HasSubstr("--start-from has SHA-256 0123, there none"),
                             Not(HasSubstr("--seed"))));
}

}  // namespace
}  // namespace stylex
