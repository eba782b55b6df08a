// Versions on disk become served models, or errors that say why not.
#include "server/repository/model_loading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "server/repository/served_model.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelLoadingTest : public testing::Test {
 protected:
  absl::StatusOr<LoadedVersion> Load(const std::string& path, int64_t max_batch = 3) {
    return LoadServedModel({.name = "tiny", .version = 4, .path = path}, torch::kCPU,
                           {.device = &device_, .max_batch = max_batch});
  }
  std::string Write(const TinyCheckpoint& checkpoint) {
    return WriteTinyCheckpoint(root_.path(), checkpoint);
  }
  std::vector<VersionPath> List() { return ListServedVersions(root_.path()).value(); }
  std::vector<std::string> Signatures() {
    std::vector<std::string> signatures;
    for (const VersionPath& version : List()) {
      signatures.push_back(version.signature);
    }
    return signatures;
  }

  const TemporaryFolder root_;
  DeviceScheduler device_{{}, &Clock::Real()};
};

TEST_F(ModelLoadingTest, AVersionBecomesAServedModel) {
  const auto loaded = Load(Write({.with_index = true}));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->model->id(), "tiny/4");
  EXPECT_EQ(loaded->resolution, 16);
  EXPECT_THAT(loaded->labels, ElementsAre("dark", "medium", "bright"));
  EXPECT_TRUE(loaded->model->shape().has_ranges);
}

TEST_F(ModelLoadingTest, WithoutAnIndexItServesAllTheSame) {
  const auto loaded = Load(Write({.with_index = false}));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE(loaded->model->shape().has_ranges);
}

// The classifier compares the images of a batch: one call's answer would depend on other calls.
TEST_F(ModelLoadingTest, AClassifierThatComparesImagesIsRefused) {
  const std::string path = Write({.compares = true});
  const absl::Status status = Load(path, /*max_batch=*/4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("batch of 2"));
  EXPECT_TRUE(Load(path, /*max_batch=*/1).ok()) << "calls never share a batch";
}

// Each size is two passes or more: all those up to 64 took two minutes.
TEST_F(ModelLoadingTest, LargeBatchesAreWarmedUpInFewSizes) {
  EXPECT_THAT(BatchSizes(1), ElementsAre(1));
  EXPECT_THAT(BatchSizes(5), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(BatchSizes(20), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 16, 20));
  EXPECT_THAT(BatchSizes(64), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64));
}

TEST_F(ModelLoadingTest, APlainStyleGanIsRefused) {
  const absl::Status status = Load(Write({.with_index = false, .with_encoder = false})).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("encoder"));
}

TEST_F(ModelLoadingTest, DamageIsNamed) {
  const std::string path = Write({});
  const std::string weights = path + "/weights.safetensors";
  std::string bytes = ReadFile(weights).value();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(WriteFileAtomic(weights, bytes).ok());
  const absl::Status status = Load(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("weights.safetensors"));
  EXPECT_EQ(Load(root_ / "nowhere").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelLoadingTest, LoadingLeavesTheDeviceFree) {
  ASSERT_TRUE(Load(Write({})).ok());
  EXPECT_EQ(device_.Silence(), absl::ZeroDuration());
  DeviceScheduler::Turn turn(&device_, [] { return true; });
  EXPECT_TRUE(turn.active());
}

TEST_F(ModelLoadingTest, ListsByNameNewestFirst) {
  for (const auto& [name, version] : {std::pair("b", 1), {"a", 2}, {"a", 10}}) {
    Write({.name = name, .version = version});
  }
  std::vector<std::string> ids;
  for (const VersionPath& version : List()) {
    ids.push_back(version.id());
    EXPECT_TRUE(std::filesystem::is_directory(version.path));
  }
  EXPECT_THAT(ids, ElementsAre("a/10", "a/2", "b/1"));
}

TEST_F(ModelLoadingTest, OfNoFolderThereIsNoList) {
  EXPECT_THAT(List(), IsEmpty());
  EXPECT_EQ(ListServedVersions(root_ / "nowhere").status().code(), absl::StatusCode::kNotFound);
}

// The server loads a version again when its signature differs.
TEST_F(ModelLoadingTest, TheSignatureFollowsTheFilesButNotTheCard) {
  const std::string path = Write({});
  const std::vector<std::string> first = Signatures();
  EXPECT_EQ(Signatures(), first);
  std::ofstream(path + "/README.md", std::ios::app) << "edited\n";
  EXPECT_EQ(Signatures(), first) << "a model card may be edited";
  std::ofstream(path + "/model.json", std::ios::app) << "\n";
  const std::vector<std::string> second = Signatures();
  EXPECT_NE(second, first);
  std::ofstream(path + "/new-file") << "x";
  EXPECT_NE(Signatures(), second);
}

TEST_F(ModelLoadingTest, AnExchangedVersionHasAnotherSignature) {
  const std::string path = Write({});
  const std::vector<std::string> first = Signatures();
  const TemporaryFolder other;
  std::filesystem::copy(path, other / "copy");
  std::filesystem::remove_all(path);
  std::filesystem::copy(other / "copy", path);
  EXPECT_NE(Signatures(), first) << "equal bytes in new files";
}

}  // namespace
}  // namespace stylex
