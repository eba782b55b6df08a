#include "models/checkpoint/version_directory.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "models/checkpoint/json_message.h"
#include "tests/models/checkpoint/test_files.h"
#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;
using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

using Files = std::map<std::string, std::string>;

Files SomeFiles() {
  return {{kWeightsFile, "the weights"}, {kAttributesFile, "{}\n"}, {kCardFile, "# Card\n"}};
}

std::string Written(const TemporaryFolder& root, const std::string& name = "tiny",
                    int64_t version = 0) {
  return WriteVersion(ValidConfig(), SomeFiles(), root.path(), name, version, false).value();
}

void ExpectRefused(const absl::Status& status, absl::StatusCode code,
                   const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
}

TEST(WriteVersionTest, WhatIsWrittenIsRead) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  EXPECT_EQ(version, root / "tiny/1");
  EXPECT_THAT(NamesIn(version),
              UnorderedElementsAre(kModelFile, kWeightsFile, kAttributesFile, kCardFile));
  EXPECT_EQ(GetFile(version + "/" + kWeightsFile), "the weights");
  absl::StatusOr<v1::ModelConfig> config = ReadVersion(version);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->files_size(), 2);  // the card may be edited, model.json cannot hold its own
  EXPECT_EQ(config->files(0).name(), kAttributesFile);
  EXPECT_EQ(config->files(1).name(), kWeightsFile);
  EXPECT_EQ(config->files(1).sha256(), Sha256("the weights"));
  EXPECT_EQ(config->files(1).size(), 11);
  config->clear_files();
  EXPECT_TRUE(MessageDifferencer::Equals(*config, ValidConfig()));
}

TEST(WriteVersionTest, FilesCanBeReadByOthers) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  const fs::perms others = fs::perms::others_read;
  EXPECT_EQ(fs::status(version).permissions() & (others | fs::perms::others_exec),
            others | fs::perms::others_exec);
  for (const std::string& name : NamesIn(version)) {
    EXPECT_EQ(fs::status(version + "/" + name).permissions() & others, others) << name;
  }
}

TEST(WriteVersionTest, NumbersCountUpFromTheNewest) {
  const TemporaryFolder root;
  EXPECT_EQ(NewestVersion(root.path(), "tiny"), 0);
  EXPECT_EQ(Written(root), root / "tiny/1");
  EXPECT_EQ(Written(root), root / "tiny/2");
  EXPECT_EQ(Written(root, "tiny", 9), root / "tiny/9");
  EXPECT_EQ(Written(root), root / "tiny/10");
  EXPECT_EQ(Written(root, "other"), root / "other/1");
  EXPECT_EQ(NewestVersion(root.path(), "tiny"), 10);
}

TEST(WriteVersionTest, ANumberThatAStrayFileTakesIsPassedOver) {
  const TemporaryFolder root;
  PutFile(root / "tiny/1", "not a version");
  EXPECT_EQ(Written(root), root / "tiny/2");
  EXPECT_EQ(GetFile(root / "tiny/1"), "not a version");
}

TEST(WriteVersionTest, ReplacesOnlyWhenTold) {
  const TemporaryFolder root;
  Written(root, "tiny", 3);
  const Files other = {{kWeightsFile, "other weights"}};
  ExpectRefused(WriteVersion(ValidConfig(), other, root.path(), "tiny", 3, false).status(),
                absl::StatusCode::kAlreadyExists, {root / "tiny/3"});
  EXPECT_EQ(GetFile(root / "tiny/3/weights.safetensors"), "the weights");
  ASSERT_TRUE(WriteVersion(ValidConfig(), other, root.path(), "tiny", 3, true).ok());
  EXPECT_THAT(NamesIn(root / "tiny/3"), UnorderedElementsAre(kModelFile, kWeightsFile));
  EXPECT_EQ(GetFile(root / "tiny/3/weights.safetensors"), "other weights");
  EXPECT_TRUE(ReadVersion(root / "tiny/3").ok());
  EXPECT_THAT(NamesIn(root / "tiny"), ElementsAre("3")) << "nothing temporary stays";
}

TEST(WriteVersionTest, ReplacingWhatIsNotThereWritesIt) {
  const TemporaryFolder root;
  EXPECT_EQ(WriteVersion(ValidConfig(), SomeFiles(), root.path(), "tiny", 4, true).value(),
            root / "tiny/4");
}

TEST(WriteVersionTest, WhatCannotBeAVersionIsRefusedAndLeavesNothing) {
  const TemporaryFolder root;
  const auto write = [&](const v1::ModelConfig& config, const Files& files, const std::string& name,
                         int64_t version) {
    return WriteVersion(config, files, root.path(), name, version, true).status();
  };
  for (const std::string name : {"", ".", "..", ".hidden", "a/b", "/a"}) {
    ExpectRefused(write(ValidConfig(), SomeFiles(), name, 0), absl::StatusCode::kInvalidArgument,
                  {"\"" + name + "\""});
  }
  ExpectRefused(write(ValidConfig(), SomeFiles(), "tiny", -1), absl::StatusCode::kInvalidArgument,
                {"version -1"});
  for (const std::string name : {"", "..", "../escaped", "sub/file", ".hidden", "model.json"}) {
    Files files = SomeFiles();
    files[name] = "x";
    ExpectRefused(write(ValidConfig(), files, "tiny", 0), absl::StatusCode::kInvalidArgument,
                  {"file named \"" + name + "\""});
  }
  ExpectRefused(write(ValidConfig(), {{kCardFile, "x"}}, "tiny", 0),
                absl::StatusCode::kInvalidArgument, {"no weights.safetensors"});
  v1::ModelConfig config = ValidConfig();
  config.set_resolution(17);
  ExpectRefused(write(config, SomeFiles(), "tiny", 2), absl::StatusCode::kInvalidArgument,
                {root / "tiny/2/model.json", "resolution is 17"});
  EXPECT_THAT(NamesIn(root.path()), ElementsAre());
}

TEST(WriteVersionTest, ARootThatIsAFileIsNamed) {
  const TemporaryFolder folder;
  PutFile(folder / "root", "x");
  ExpectRefused(
      WriteVersion(ValidConfig(), SomeFiles(), folder / "root", "tiny", 0, false).status(),
      absl::StatusCode::kFailedPrecondition, {folder / "root/tiny", "Not a directory"});
}

TEST(UpdateVersionTest, ChangesWhatIsToldAndKeepsTheRest) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  PutFile(version + "/LICENSE", "words");
  v1::ModelConfig config = ValidConfig();
  (*config.mutable_metrics())["agreement"] = 0.5;
  ASSERT_TRUE(UpdateVersion(version, config, {{kAttributesFile, "{ }\n"}}).ok());
  const absl::StatusOr<v1::ModelConfig> read = ReadVersion(version);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->metrics().at("agreement"), 0.5);
  EXPECT_EQ(GetFile(version + "/attributes.json"), "{ }\n");
  EXPECT_EQ(GetFile(version + "/weights.safetensors"), "the weights");
  EXPECT_EQ(GetFile(version + "/README.md"), "# Card\n");
  EXPECT_EQ(GetFile(version + "/LICENSE"), "words");
  EXPECT_THAT(NamesIn(root / "tiny"), ElementsAre("1"));
}

TEST(UpdateVersionTest, TheFolderMayBeGivenInAnyWay) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  fs::create_directory_symlink(version, root / "link");
  for (const std::string& path : {version + "/", version + "/../1", root / "link"}) {
    EXPECT_TRUE(UpdateVersion(path, ValidConfig(), {{kAttributesFile, path}}).ok()) << path;
    EXPECT_EQ(GetFile(version + "/attributes.json"), path);
  }
}

TEST(UpdateVersionTest, DamageDoesNotGetFreshHashes) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  PutFile(version + "/weights.safetensors", "the wEights");
  ExpectRefused(UpdateVersion(version, ValidConfig(), {{kAttributesFile, "{ }\n"}}),
                absl::StatusCode::kDataLoss, {version + "/weights.safetensors"});
  EXPECT_FALSE(ReadVersion(version).ok());
}

TEST(UpdateVersionTest, NothingIsLost) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  PutFile(version + "/notes/mine", "x");
  ExpectRefused(UpdateVersion(version, ValidConfig(), {}), absl::StatusCode::kFailedPrecondition,
                {version + "/notes"});
  EXPECT_EQ(GetFile(version + "/notes/mine"), "x");
}

TEST(UpdateVersionTest, WhatIsNoVersionIsNamed) {
  const TemporaryFolder root;
  ExpectRefused(UpdateVersion(root / "none/1", ValidConfig(), {}), absl::StatusCode::kNotFound,
                {root / "none/1"});
  PutFile(root / "tiny/newest/model.json", "{}");
  ExpectRefused(UpdateVersion(root / "tiny/newest", ValidConfig(), {}),
                absl::StatusCode::kInvalidArgument, {root / "tiny/newest", "NAME/VERSION"});
}

TEST(UpdateVersionTest, AReaderNeverSeesAMixture) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      v1::ModelConfig config = ValidConfig();
      config.set_description(absl::StrCat(i));
      EXPECT_TRUE(UpdateVersion(version, config, {{kAttributesFile, absl::StrCat(i)}}).ok());
    }
    done = true;
  });
  int reads = 0;
  do {
    const absl::StatusOr<v1::ModelConfig> config = ReadVersion(version);
    EXPECT_TRUE(config.ok()) << config.status();
    if (config.ok() && !config->description().empty()) {
      EXPECT_EQ(config->files(0).sha256(), Sha256(config->description()));
    }
    ++reads;
  } while (!done);
  writer.join();
  EXPECT_GT(reads, 1);
}

TEST(ReadVersionTest, EveryFlippedByteOfAHashedFileIsFound) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  for (const std::string name : {kWeightsFile, kAttributesFile}) {
    const std::string path = version + "/" + name;
    const std::string good = GetFile(path);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ 1);
      PutFile(path, bytes);
      ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kDataLoss,
                    {path, "SHA-256 is " + Sha256(bytes), "says " + Sha256(good)});
    }
    PutFile(path, good);
  }
  EXPECT_TRUE(ReadVersion(version).ok());
}

TEST(ReadVersionTest, EveryTruncationIsFound) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  for (const std::string name : {kWeightsFile, kAttributesFile}) {
    const std::string path = version + "/" + name;
    const std::string good = GetFile(path);
    for (size_t length = 0; length < good.size(); ++length) {
      PutFile(path, good.substr(0, length));
      ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kDataLoss,
                    {path, absl::StrCat(length, " bytes"), absl::StrCat("says ", good.size())});
    }
    PutFile(path, good);
  }
  const std::string path = version + "/" + kModelFile;
  const std::string good = GetFile(path);
  for (size_t length = 0; length + 1 < good.size(); ++length) {  // the last byte is a newline
    PutFile(path, good.substr(0, length));
    ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kInvalidArgument, {path});
  }
}

// Changes of the config are left to ValidateModelConfig; a changed name, size or hash of a file, or
// malformed JSON, is refused.
TEST(ReadVersionTest, FlippedBytesOfTheHashesAreFound) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  const std::string path = version + "/" + kModelFile;
  const std::string good = GetFile(path);
  const size_t files = good.find("\"files\"");
  ASSERT_NE(files, std::string::npos);
  for (size_t i = files; i < good.size(); ++i) {
    if (good[i] == ' ' || good[i] == '\n') {
      continue;
    }
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    PutFile(path, bytes);
    EXPECT_FALSE(ReadVersion(version).ok()) << "byte " << i << " of " << bytes;
  }
}

TEST(ReadVersionTest, MissingFilesAreNamed) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  fs::remove(version + "/attributes.json");
  ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kNotFound,
                {version + "/attributes.json"});
  fs::remove(version + "/model.json");
  ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kNotFound,
                {version + "/model.json"});
  ExpectRefused(ReadVersion(root / "none/1").status(), absl::StatusCode::kNotFound,
                {root / "none/1/model.json"});
}

TEST(ReadVersionTest, FilesWithoutAHashAreRefused) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  v1::ModelConfig config = ReadVersion(version).value();
  config.mutable_files()->RemoveLast();
  ASSERT_TRUE(WriteJsonMessage(config, version + "/model.json").ok());
  ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kDataLoss,
                {version + "/weights.safetensors", "no hash"});
  config.clear_files();
  ASSERT_TRUE(WriteJsonMessage(config, version + "/model.json").ok());
  fs::remove(version + "/attributes.json");
  fs::remove(version + "/weights.safetensors");
  ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kDataLoss,
                {version + "/weights.safetensors", "no hash"});
}

TEST(ReadVersionTest, AddedCheckpointFilesAreRefusedAndOthersIgnored) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  PutFile(version + "/README.md", "an edited card");
  PutFile(version + "/notes.txt", "x");
  EXPECT_TRUE(ReadVersion(version).ok());
  PutFile(version + "/classifier.pt", "x");
  ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kDataLoss,
                {version + "/classifier.pt", "no hash"});
}

TEST(ReadVersionTest, FilesElsewhereCannotBeListed) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  const v1::ModelConfig good = ReadVersion(version).value();
  for (const std::string name :
       {"", ".", "..", "../../x", "/etc/hostname", "model.json", "README.md", "a/b"}) {
    v1::ModelConfig config = good;
    config.add_files()->set_name(name);
    ASSERT_TRUE(WriteJsonMessage(config, version + "/model.json").ok());
    ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kInvalidArgument,
                  {version + "/model.json", "\"" + name + "\""});
  }
}

TEST(ReadVersionTest, AConfigThatIsWrongIsRefused) {
  const TemporaryFolder root;
  const std::string version = Written(root);
  v1::ModelConfig config = ReadVersion(version).value();
  config.set_schema_version(2);
  ASSERT_TRUE(WriteJsonMessage(config, version + "/model.json").ok());
  ExpectRefused(ReadVersion(version).status(), absl::StatusCode::kInvalidArgument,
                {version + "/model.json", "schemaVersion is 2"});
}

TEST(ListVersionsTest, NamesInOrderNewestFirstAndNothingElse) {
  const TemporaryFolder root;
  for (const char* folder : {"b/2", "b/10", "a/1", "c/.tmp-abc", ".hidden/1", "b/.tmp-xyz", "b/01",
                             "b/0", "b/-1", "b/+3", "b/4x", "b/ 5", "b/1e3",
                             "b/9223372036854775807", "b/18446744073709551617", "b/newest"}) {
    fs::create_directories(root / folder);
  }
  PutFile(root / "b/7", "a file");
  PutFile(root / "README.md", "a file");
  fs::create_symlink("loop", root / "loop");
  fs::create_symlink("8", root / "b/8");
  const absl::StatusOr<std::vector<ModelVersion>> versions = ListVersions(root.path());
  ASSERT_TRUE(versions.ok()) << versions.status();
  std::vector<std::string> found;
  for (const ModelVersion& version : *versions) {
    found.push_back(absl::StrCat(version.name, "/", version.version));
    EXPECT_EQ(version.path, root / found.back());
  }
  EXPECT_THAT(found, ElementsAre("a/1", "b/10", "b/2"));
}

TEST(StrayVersionsTest, NamesWhatMayBeMeantToBeServedAndWhyItIsNot) {
  const TemporaryFolder root;
  for (const char* folder : {"a/1", "a/01", "a/v2", "a/.tmp-abc", "b/newest", ".hidden/v3"}) {
    fs::create_directories(root / folder);
  }
  fs::create_symlink("gone", root / "b/3");
  EXPECT_THAT(
      StrayVersions(root.path()),
      ElementsAre(AllOf(HasSubstr("a/01 is not served"), HasSubstr("without leading zeros")),
                  AllOf(HasSubstr("a/v2 is not served"), HasSubstr("a whole number")),
                  AllOf(HasSubstr("b/3 is not served"), HasSubstr("a link to nothing")),
                  AllOf(HasSubstr("b/newest is not served"), HasSubstr("no version"))));
}

TEST(StrayVersionsTest, FilesAndLinksToVersionsAreNone) {
  const TemporaryFolder root;
  fs::create_directories(root / "a/1");
  PutFile(root / "a/notes.txt", "a file");
  PutFile(root / "a/02", "a file");
  PutFile(root / "README.md", "a file");
  fs::create_symlink("1", root / "a/2");
  fs::create_symlink("nowhere", root / "loop");
  EXPECT_THAT(StrayVersions(root.path()), ElementsAre());
}

TEST(StrayVersionsTest, ALinkThatIsMendedIsOneNoMore) {
  const TemporaryFolder root;
  fs::create_directories(root / "a");
  fs::create_symlink("../elsewhere/7", root / "a/7");
  EXPECT_EQ(StrayVersions(root.path()).size(), 1u);
  fs::create_directories(root / "elsewhere/7");
  EXPECT_THAT(StrayVersions(root.path()), ElementsAre());
}

TEST(StrayVersionsTest, ARootThatIsNotThereHasNone) {
  const TemporaryFolder root;
  EXPECT_THAT(StrayVersions(root / "none"), ElementsAre());
}

TEST(ListVersionsTest, ARootThatIsNoFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(ListVersions(folder.path()).value(), ElementsAre());
  ExpectRefused(ListVersions(folder / "none").status(), absl::StatusCode::kNotFound,
                {folder / "none"});
  PutFile(folder / "file", "x");
  EXPECT_FALSE(ListVersions(folder / "file").ok());
}

}  // namespace
}  // namespace stylex
