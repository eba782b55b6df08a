// Every pass against the networks called directly, alone and in a batch with others.
#include "server/repository/network_passes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr int64_t kCalls = 5;

// Counts batches of each size by stage, and what was dropped.
class BatchSizes : public DeviceObserver {
 public:
  void OnBatch(const char* stage, size_t size, absl::Duration) override {
    const MutexLock lock(&mutex_);
    ++batches_[{stage, size}];
  }
  void OnWaited(bool, absl::Duration) override {}
  void OnDropped() override {
    const MutexLock lock(&mutex_);
    ++dropped_;
  }
  std::map<std::pair<std::string, size_t>, int> batches() {
    const MutexLock lock(&mutex_);
    return batches_;
  }
  int dropped() {
    const MutexLock lock(&mutex_);
    return dropped_;
  }

 private:
  Mutex mutex_;
  std::map<std::pair<std::string, size_t>, int> batches_ ABSL_GUARDED_BY(mutex_);
  int dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

void ExpectClose(const torch::Tensor& found, const torch::Tensor& expected,
                 const std::string& what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(torch::allclose(found, expected, 1e-4, 1e-5))
      << what << " differs by " << (found - expected).abs().max().item<double>();
}

class NetworkPassesTest : public testing::Test {
 protected:
  NetworkPassesTest()
      : tiny_(MakeTinyModel(3, kCalls)),
        passes_(&tiny_.stylex),
        images_(torch::rand({kCalls, 1, kTinyResolution, kTinyResolution}) * 2 - 1) {
    const torch::NoGradGuard no_grad;
    logits_ = tiny_.stylex.Logits(images_);
    w_ = tiny_.stylex.Encode(images_, logits_);
    styles_ = tiny_.stylex.Styles(w_);
    drawn_ = tiny_.stylex.Synthesize(styles_);
    drawn_logits_ = tiny_.stylex.Logits(drawn_);
  }

  torch::Tensor Image(int64_t i) const { return images_.narrow(0, i, 1); }

  // Calls `call(i, networks)` from a thread each, and holds the device until all of them wait for
  // it.
  template <class Call>
  void AllAtOnce(const Call& call) {
    std::vector<std::thread> threads;
    {
      DeviceScheduler::Turn turn(&device_, [] { return true; });
      ASSERT_TRUE(turn.active());
      for (int64_t i = 0; i < kCalls; ++i) {
        threads.emplace_back([this, i, &call] {
          SharedNetworks networks(passes_, &device_, cancellation_);
          call(i, networks);
        });
      }
      while (device_.interactive_waiting() < kCalls) {
        absl::SleepFor(absl::Milliseconds(1));
      }
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  TinyModel tiny_;
  NetworkPasses passes_;
  torch::Tensor images_, logits_, w_, drawn_, drawn_logits_;
  StyleVectors styles_;
  BatchSizes observed_;
  DeviceScheduler device_{{}, &Clock::Real(), &observed_};
  Cancellation cancellation_{&Clock::Real(), absl::InfiniteFuture()};
  SharedNetworks networks_{passes_, &device_, cancellation_};
};

// A pass that runs alone takes one thread, and it runs on a thread that may search afterwards.
TEST_F(NetworkPassesTest, TheCallersThreadsAreLeftAsTheyWere) {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  EXPECT_TRUE(networks_.Synthesize(styles_.Narrow(0, 1), Rendering::Png()).ok());
  EXPECT_EQ(at::get_num_threads(), 3);
  at::set_num_threads(before);
}

TEST_F(NetworkPassesTest, StagesHaveNames) {
  EXPECT_STREQ(passes_.classify()->stage(), "classify");
  EXPECT_STREQ(passes_.encode()->stage(), "encode");
  EXPECT_STREQ(passes_.styles()->stage(), "styles");
  EXPECT_STREQ(passes_.synthesize()->stage(), "synthesize");
}

TEST_F(NetworkPassesTest, OneCallGetsWhatTheNetworksGive) {
  ExpectClose(networks_.Logits(Image(2)).value(), logits_.narrow(0, 2, 1), "logits");
  const EncodedImage encoded = networks_.Encode(Image(1)).value();
  ExpectClose(encoded.logits, logits_.narrow(0, 1, 1), "logits of Encode");
  ExpectClose(encoded.w, w_.narrow(0, 1, 1), "w");
  ExpectClose(encoded.styles.conv, styles_.conv.narrow(0, 1, 1), "styles of Encode");
  ExpectClose(encoded.styles.rgb, styles_.rgb.narrow(0, 1, 1), "to_rgb styles of Encode");
  const StyleVectors styles = networks_.Styles(w_.narrow(0, 3, 1)).value();
  ExpectClose(styles.conv, styles_.conv.narrow(0, 3, 1), "styles");
  ExpectClose(styles.rgb, styles_.rgb.narrow(0, 3, 1), "to_rgb styles");
  const DrawnImage drawn = networks_.Synthesize(styles_.Narrow(4, 1), {}).value();
  ExpectClose(drawn.image, drawn_.narrow(0, 4, 1), "image");
  ExpectClose(drawn.logits, drawn_logits_.narrow(0, 4, 1), "logits of Synthesize");
}

TEST_F(NetworkPassesTest, EveryCallOfABatchGetsItsOwnEncoding) {
  std::vector<std::optional<EncodedImage>> encoded(kCalls);
  AllAtOnce([&](int64_t i, SharedNetworks& networks) {
    encoded[static_cast<size_t>(i)] = networks.Encode(Image(i)).value();
  });
  EXPECT_THAT(observed_.batches(), ElementsAre(Pair(Pair("encode", kCalls), 1)));
  for (int64_t i = 0; i < kCalls; ++i) {
    const EncodedImage& own = *encoded[static_cast<size_t>(i)];
    ExpectClose(own.logits, logits_.narrow(0, i, 1), "logits");
    ExpectClose(own.w, w_.narrow(0, i, 1), "w");
    ExpectClose(own.styles.conv, styles_.conv.narrow(0, i, 1), "styles");
    ExpectClose(own.styles.rgb, styles_.rgb.narrow(0, i, 1), "to_rgb styles");
  }
}

TEST_F(NetworkPassesTest, EveryCallOfABatchGetsItsOwnPicture) {
  std::vector<std::optional<DrawnImage>> drawn(kCalls);
  AllAtOnce([&](int64_t i, SharedNetworks& networks) {
    drawn[static_cast<size_t>(i)] = networks.Synthesize(styles_.Narrow(i, 1), {}).value();
  });
  EXPECT_THAT(observed_.batches(), ElementsAre(Pair(Pair("synthesize", kCalls), 1)));
  for (int64_t i = 0; i < kCalls; ++i) {
    ExpectClose(drawn[static_cast<size_t>(i)]->image, drawn_.narrow(0, i, 1), "image");
    ExpectClose(drawn[static_cast<size_t>(i)]->logits, drawn_logits_.narrow(0, i, 1), "logits");
  }
}

TEST_F(NetworkPassesTest, CallsOfDifferentKindsDoNotShareABatch) {
  AllAtOnce([&](int64_t i, SharedNetworks& networks) {
    if (i < 2) {
      ExpectClose(networks.Logits(Image(i)).value(), logits_.narrow(0, i, 1), "logits");
    } else {
      ExpectClose(networks.Styles(w_.narrow(0, i, 1)).value().conv, styles_.conv.narrow(0, i, 1),
                  "styles");
    }
  });
  EXPECT_THAT(observed_.batches(), UnorderedElementsAre(Pair(Pair("classify", 2u), 1),
                                                        Pair(Pair("styles", kCalls - 2), 1)));
}

TEST_F(NetworkPassesTest, ACancelledCallIsNotComputed) {
  std::vector<absl::StatusCode> codes(kCalls, absl::StatusCode::kOk);
  cancellation_.Cancel();
  AllAtOnce([&](int64_t i, SharedNetworks& networks) {
    codes[static_cast<size_t>(i)] = networks.Logits(Image(i)).status().code();
  });
  EXPECT_THAT(codes, testing::Each(absl::StatusCode::kCancelled));
  EXPECT_EQ(observed_.dropped(), kCalls);
  EXPECT_EQ(tiny_.classifier->images(), 2 * kCalls) << "more than the fixture's own";
}

TEST_F(NetworkPassesTest, AnImageThatTheNetworksRefuseFailsAlone) {
  std::vector<bool> threw(kCalls);
  std::vector<torch::Tensor> found(kCalls);
  Mutex mutex;
  AllAtOnce([&](int64_t i, SharedNetworks& networks) {
    bool failed = false;
    torch::Tensor logits;
    try {
      logits = networks.Logits(i == 3 ? torch::zeros({1, 1, 7, 7}) : Image(i)).value();
    } catch (const std::exception&) {
      failed = true;
    }
    const MutexLock lock(&mutex);
    threw[static_cast<size_t>(i)] = failed;
    found[static_cast<size_t>(i)] = logits;
  });
  EXPECT_THAT(threw, ElementsAre(false, false, false, true, false));
  for (const int64_t i : {0, 1, 2, 4}) {
    ExpectClose(found[static_cast<size_t>(i)], logits_.narrow(0, i, 1), "logits");
  }
}

TEST_F(NetworkPassesTest, AnswersHoldNoGraph) {
  const EncodedImage encoded = networks_.Encode(Image(0)).value();
  EXPECT_FALSE(encoded.w.requires_grad());
  EXPECT_FALSE(encoded.styles.conv.requires_grad());
  EXPECT_FALSE(networks_.Synthesize(encoded.styles, {}).value().image.requires_grad());
}

// More pixels than one thread is worth: another thread would only wait for the device's.
TEST(NetworkPassTest, LargeImagesAreLeftToTheEngine) {
  v1::ModelConfig config;
  config.set_image_channels(1);
  config.add_labels("a");
  config.mutable_generator()->set_latent_size(4);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  for (int side = 4; side <= 256; side *= 2) {
    config.mutable_generator()->add_channels(2);
    config.mutable_encoder()->add_channels(2);
  }
  for (const auto& [resolution, alone] : {std::pair{128, true}, {256, false}}) {
    config.set_resolution(resolution);
    v1::ModelConfig own = config;
    if (resolution == 128) {
      own.mutable_generator()->mutable_channels()->RemoveLast();
      own.mutable_encoder()->mutable_channels()->RemoveLast();
    }
    const Stylex model(own, Networks::Make(own), std::make_shared<TinyClassifier>());
    const NetworkPasses passes(&model);
    EXPECT_EQ(passes.synthesize()->RunsAlone(), alone) << resolution;
    EXPECT_EQ(passes.classify()->RunsAlone(), alone) << resolution;
  }
}

}  // namespace
}  // namespace stylex
