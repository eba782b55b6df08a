#include "server/repository/model_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/rpc/errors.h"

namespace stylex {

// The repository never accesses models, so the test's class only has a name.
class ServedModel {
 public:
  explicit ServedModel(std::string id) : id_(std::move(id)) {}
  const std::string& id() const { return id_; }

 private:
  std::string id_;
};

namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class ModelRepositoryTest : public ::testing::Test {
 protected:
  // Loads `ids` ("NAME/VERSION"); those in `broken_` fail.
  void Load(const std::vector<VersionPath>& versions) {
    repository_ = std::make_unique<ModelRepository>(ModelRepository::Callbacks{
        .list = [versions] { return versions; },
        .load = [this](const VersionPath& version) { return LoadOne(version); },
        .on_name = [this](const std::string& name,
                          bool ready) { names_.emplace_back(name, ready); },
        .on_loaded = [this] { loaded_.set_value(); }});
    repository_->Start();
  }
  void LoadAndWait(const std::vector<VersionPath>& versions) {
    Load(versions);
    loaded_.get_future().wait();
  }

  absl::StatusOr<LoadedVersion> LoadOne(const VersionPath& version) {
    order_.push_back(version.id());
    if (version.id() == slow_) {
      slow_started_.set_value();
      slow_may_end_.get_future().wait();
    }
    if (broken_.contains(version.id())) {
      return absl::DataLossError(absl::StrCat(version.path, ": bad hash"));
    }
    return LoadedVersion{.model = std::make_shared<ServedModel>(version.id()),
                         .resolution = 16,
                         .labels = {"a", "b"}};
  }

  std::string FindId(const std::string& model) {
    const auto found = repository_->Find(model);
    return found.ok() ? (*found)->id()
                      : std::string(absl::StatusCodeToString(found.status().code()));
  }

  std::set<std::string> broken_;
  std::string slow_;
  std::promise<void> slow_started_, slow_may_end_, loaded_;
  std::vector<std::string> order_;
  std::vector<std::pair<std::string, bool>> names_;
  std::unique_ptr<ModelRepository> repository_;
};

const std::vector<VersionPath> kCatsAndDogs = {
    {"cats", 3, "/m/cats/3"}, {"cats", 1, "/m/cats/1"}, {"dogs", 2, "/m/dogs/2"}};

TEST_F(ModelRepositoryTest, FindsByNameAndByVersion) {
  LoadAndWait(kCatsAndDogs);
  EXPECT_EQ(FindId("cats"), "cats/3");
  EXPECT_EQ(FindId("cats/1"), "cats/1");
  EXPECT_EQ(FindId("dogs"), "dogs/2");
  EXPECT_EQ(FindId("dogs/1"), "NOT_FOUND");
  EXPECT_EQ(FindId("lions"), "NOT_FOUND");
  EXPECT_EQ(FindId("cats/newest"), "NOT_FOUND");
  EXPECT_EQ(FindId("cats/"), "NOT_FOUND");
  EXPECT_THAT(repository_->Find("lions").status().message(), HasSubstr("'cats', 'dogs'"));
}

TEST_F(ModelRepositoryTest, LoadsTheNewestVersionsFirst) {
  LoadAndWait(kCatsAndDogs);
  EXPECT_THAT(order_, ElementsAre("cats/3", "dogs/2", "cats/1"));
}

TEST_F(ModelRepositoryTest, AnEmptyNameNeedsOneModel) {
  LoadAndWait(kCatsAndDogs);
  const auto found = repository_->Find("");
  EXPECT_EQ(found.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(found.status().message(), HasSubstr("'cats', 'dogs'"));
}

TEST_F(ModelRepositoryTest, AnEmptyNameIsTheOneThatLoaded) {
  broken_ = {"dogs/2"};
  LoadAndWait(kCatsAndDogs);
  EXPECT_EQ(FindId(""), "cats/3");
}

TEST_F(ModelRepositoryTest, AFailedVersionIsKeptWithItsReasonAndTheOthersServe) {
  broken_ = {"cats/3", "dogs/2"};
  LoadAndWait(kCatsAndDogs);
  EXPECT_EQ(FindId("cats"), "cats/1");
  EXPECT_EQ(FindId("cats/3"), "FAILED_PRECONDITION");
  EXPECT_THAT(repository_->Find("dogs").status().message(), HasSubstr("/m/dogs/2: bad hash"));
  const std::vector<v1::ModelSummary> list = repository_->List();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name(), "cats");
  EXPECT_EQ(list[0].version(), 3);
  EXPECT_EQ(list[0].state(), v1::MODEL_STATE_FAILED);
  EXPECT_EQ(list[0].error(), "/m/cats/3: bad hash");
  EXPECT_EQ(list[1].version(), 1);
  EXPECT_EQ(list[1].state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(list[1].resolution(), 16);
  EXPECT_EQ(list[1].labels_size(), 2);
  EXPECT_EQ(list[2].name(), "dogs");
  EXPECT_THAT(names_, ElementsAre(Pair("cats", false), Pair("dogs", false), Pair("cats", true)));
}

TEST_F(ModelRepositoryTest, AModelThatLoadsIsUnavailable) {
  slow_ = "dogs/2";
  Load(kCatsAndDogs);
  slow_started_.get_future().wait();
  EXPECT_EQ(FindId("cats"), "cats/3");
  const auto loading = repository_->Find("dogs");
  EXPECT_EQ(loading.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(RetryDelay(loading.status()).has_value());
  const auto described = repository_->Describe("dogs");
  ASSERT_TRUE(described.ok());
  EXPECT_EQ(described->summary.state(), v1::MODEL_STATE_LOADING);
  EXPECT_EQ(described->model, nullptr);
  slow_may_end_.set_value();
  loaded_.get_future().wait();
  EXPECT_EQ(FindId("dogs"), "dogs/2");
}

TEST_F(ModelRepositoryTest, BeforeTheFolderIsListedAllIsUnavailable) {
  repository_ = std::make_unique<ModelRepository>(ModelRepository::Callbacks{});
  EXPECT_EQ(FindId("cats"), "UNAVAILABLE");
  EXPECT_EQ(FindId(""), "UNAVAILABLE");
}

TEST_F(ModelRepositoryTest, AnEmptyFolderHasNoModels) {
  LoadAndWait({});
  EXPECT_EQ(FindId(""), "NOT_FOUND");
  EXPECT_THAT(repository_->Find("cats").status().message(), HasSubstr("no models are loaded"));
  EXPECT_TRUE(repository_->List().empty());
}

TEST_F(ModelRepositoryTest, AHandlePinsItsModel) {
  LoadAndWait(kCatsAndDogs);
  const std::shared_ptr<const ServedModel> handle = *repository_->Find("cats");
  repository_.reset();
  EXPECT_EQ(handle->id(), "cats/3");
}

// A folder that the test changes while the repository checks it continuously.
class ModelReloadTest : public ::testing::Test {
 protected:
  ModelReloadTest()
      : repository_(
            {.list = [this] { return List(); },
             .load = [this](const VersionPath& version) { return LoadOne(version); },
             .on_name = [this](const std::string& name, bool ready) { SetReady(name, ready); },
             .on_loaded =
                 [this] {
                   if (throwing_) {
                     throw std::bad_alloc();
                   }
                   ++loaded_;
                 },
             .on_unloaded = [this] { ++unloaded_; }},
            absl::Milliseconds(1)) {}

  void Put(const std::vector<VersionPath>& versions) {
    MutexLock lock(&mutex_);
    versions_ = versions;
  }
  absl::StatusOr<std::vector<VersionPath>> List() {
    MutexLock lock(&mutex_);
    ++looks_;
    if (throwing_) {
      throw std::bad_alloc();
    }
    return unreadable_ ? absl::StatusOr<std::vector<VersionPath>>(absl::UnavailableError("no"))
                       : versions_;
  }
  // Waits until the repository has processed the folder's current state.
  void AwaitLook() {
    const int before = looks_;
    while (looks_ < before + 3) {
      std::this_thread::yield();
    }
  }
  absl::StatusOr<LoadedVersion> LoadOne(const VersionPath& version) {
    ++loads_;
    if (version.signature.starts_with("bad")) {
      return absl::DataLossError("bad hash");
    }
    if (version.signature.starts_with("large") && !has_memory_) {
      throw std::bad_alloc();
    }
    if (version.signature.starts_with("odd")) {
      throw std::runtime_error("odd shapes");
    }
    return LoadedVersion{
        .model = std::make_shared<ServedModel>(absl::StrCat(version.id(), version.signature)),
        .resolution = 16,
        .labels = {"a", "b"}};
  }
  void SetReady(const std::string& name, bool ready) {
    MutexLock lock(&mutex_);
    ready_[name] = ready;
  }
  bool ready(const std::string& name) {
    MutexLock lock(&mutex_);
    return ready_[name];
  }
  std::string FindId(const std::string& model) {
    const auto found = repository_.Find(model);
    return found.ok() ? (*found)->id()
                      : std::string(absl::StatusCodeToString(found.status().code()));
  }

  Mutex mutex_;
  std::vector<VersionPath> versions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, bool> ready_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> unreadable_ = false, throwing_ = false, has_memory_ = false;
  std::atomic<int> looks_ = 0, loads_ = 0, loaded_ = 0, unloaded_ = 0;
  ModelRepository repository_;  // last: its thread uses all the others
};

TEST_F(ModelReloadTest, ANewVersionIsServedOnceItIsLoaded) {
  Put({{"cats", 1, ""}});
  repository_.Start();
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1");
  const auto held = repository_.Find("cats");
  Put({{"cats", 2, ""}, {"cats", 1, ""}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/2");
  EXPECT_EQ(FindId("cats/1"), "cats/1");
  EXPECT_EQ((*held)->id(), "cats/1");
  EXPECT_EQ(loads_, 2) << "what is loaded is not loaded again";
  EXPECT_EQ(loaded_, 1);
}

TEST_F(ModelReloadTest, ABadNewVersionIsRefusedAndTheOldOneStays) {
  Put({{"cats", 1, ""}});
  repository_.Start();
  AwaitLook();
  Put({{"cats", 2, "", "bad"}, {"cats", 1, ""}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1");
  EXPECT_EQ(FindId("cats/2"), "FAILED_PRECONDITION");
  EXPECT_TRUE(ready("cats"));
  EXPECT_EQ(loads_, 2) << "a bad version is not tried again and again";
  Put({{"cats", 2, "", "mended"}, {"cats", 1, ""}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/2mended");
}

TEST_F(ModelReloadTest, AnExchangedVersionServesOnlyWhenItIsGood) {
  Put({{"cats", 1, "", "first"}});
  repository_.Start();
  AwaitLook();
  Put({{"cats", 1, "", "bad"}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1first");
  EXPECT_EQ(unloaded_, 0);
  Put({{"cats", 1, "", "second"}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1second");
  EXPECT_EQ(unloaded_, 1);
}

TEST_F(ModelReloadTest, AVersionExchangedForABrokenOneSaysSo) {
  Put({{"cats", 1, "", "first"}});
  repository_.Start();
  AwaitLook();
  EXPECT_EQ(repository_.List()[0].error(), "");
  Put({{"cats", 1, "", "bad"}});
  AwaitLook();
  EXPECT_EQ(repository_.List()[0].state(), v1::MODEL_STATE_READY);
  EXPECT_THAT(repository_.List()[0].error(), HasSubstr("bad hash"));
  Put({{"cats", 1, "", "second"}});
  AwaitLook();
  EXPECT_EQ(repository_.List()[0].error(), "");
}

TEST_F(ModelReloadTest, AVersionThatIsBeingCopiedIsTriedAfterLongerAndLongerPauses) {
  Put({{"cats", 1, "", "bad 0"}});
  repository_.Start();
  for (int i = 1; i <= 60; ++i) {
    AwaitLook();
    Put({{"cats", 1, "", absl::StrCat("bad ", i)}});
  }
  // A look is a millisecond or more, so that there are pauses of 1, 2, 4, 8, 16, 16 ... looks.
  EXPECT_LT(loads_, looks_ / 4);
  EXPECT_GT(loads_, 3);
  Put({{"cats", 1, "", "whole"}});
  while (FindId("cats") != "cats/1whole") {
    std::this_thread::yield();
  }
}

TEST_F(ModelReloadTest, WantOfMemoryDuringALookIsMendedByTheNext) {
  throwing_ = true;
  Put({{"cats", 1, ""}});
  repository_.Start();
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "UNAVAILABLE");
  EXPECT_EQ(loaded_, 0);
  throwing_ = false;
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1");
  EXPECT_EQ(loaded_, 1);
}

// Its files stay as they are: it is the machine that changes.
TEST_F(ModelReloadTest, AVersionThatFailedForWantOfMemoryIsTriedAgainAfterLongerAndLongerPauses) {
  Put({{"cats", 1, "", "large"}});
  repository_.Start();
  while (looks_ < 100) {
    std::this_thread::yield();
  }
  EXPECT_THAT(FindId("cats"), AnyOf("FAILED_PRECONDITION", "UNAVAILABLE"));
  EXPECT_GT(loads_, 3);
  EXPECT_LT(loads_, looks_ / 4);
  has_memory_ = true;
  while (FindId("cats") != "cats/1large") {
    std::this_thread::yield();
  }
}

TEST_F(ModelReloadTest, WhatLoadingThrowsIsTheReason) {
  Put({{"cats", 1, "", "odd"}, {"dogs", 1, ""}});
  repository_.Start();
  AwaitLook();
  EXPECT_EQ(FindId("dogs"), "dogs/1");
  EXPECT_THAT(repository_.Find("cats").status().message(), HasSubstr("odd shapes"));
  EXPECT_EQ(loads_, 2) << "tried again, although it was not for want of memory";
}

TEST_F(ModelReloadTest, AFirstListingThatFailedIsNoMissingModel) {
  unreadable_ = true;
  repository_.Start();
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "UNAVAILABLE");
  EXPECT_THAT(repository_.Find("cats").status().message(), HasSubstr("cannot be listed"));
  unreadable_ = false;
  Put({{"cats", 1, ""}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1");
}

TEST_F(ModelReloadTest, ARemovedVersionIsLetGo) {
  Put({{"cats", 2, ""}, {"cats", 1, ""}, {"dogs", 1, ""}});
  repository_.Start();
  AwaitLook();
  std::weak_ptr<const ServedModel> newest;
  {
    const auto held = repository_.Find("cats/2");
    newest = *held;
    Put({{"cats", 1, ""}, {"dogs", 1, ""}});
    AwaitLook();
    EXPECT_EQ((*held)->id(), "cats/2") << "a handle pins its model";
  }
  EXPECT_TRUE(newest.expired());
  EXPECT_EQ(FindId("cats"), "cats/1");
  EXPECT_TRUE(ready("cats"));
  Put({{"dogs", 1, ""}});
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "NOT_FOUND");
  EXPECT_FALSE(ready("cats"));
  EXPECT_EQ(FindId(""), "dogs/1");
  EXPECT_EQ(unloaded_, 2);
}

TEST_F(ModelReloadTest, AFolderThatCannotBeReadIsNotAnEmptyOne) {
  Put({{"cats", 1, ""}});
  repository_.Start();
  AwaitLook();
  unreadable_ = true;
  AwaitLook();
  EXPECT_EQ(FindId("cats"), "cats/1");
}

}  // namespace
}  // namespace stylex
