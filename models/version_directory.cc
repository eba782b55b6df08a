#include "models/version_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "models/json_message.h"
#include "models/model_config.h"
#include "models/sha256.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = int64_t{8} << 30;

// Files that carry no hash: the one that holds the hashes, and the card, which people may edit.
bool IsHashed(const std::string& name) { return name != kModelFile && name != kCardFile; }

bool ParseVersion(const std::string& text, int64_t* version) {
  return absl::SimpleAtoi(text, version) && *version > 0 && absl::StrCat(*version) == text;
}

absl::Status SyncFolder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return absl::InternalError(absl::StrCat(folder.string(), ": ", std::strerror(errno)));
  }
  fsync(fd);  // best effort: the files themselves have been flushed
  close(fd);
  return absl::OkStatus();
}

absl::StatusOr<fs::path> MakeTemporaryFolder(const fs::path& parent) {
  std::error_code error;
  fs::create_directories(parent, error);
  std::string pattern = (parent / ".tmp-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr) {
    return absl::PermissionDeniedError(absl::StrCat(
        parent.string(), ": no folder can be created there: ",
        error ? error.message() : std::strerror(errno)));
  }
  fs::permissions(pattern, fs::perms(0755), error);
  return fs::path(pattern);
}

absl::Status WriteFiles(v1::ModelConfig config, const std::map<std::string, std::string>& files,
                        const fs::path& folder) {
  config.clear_files();
  for (const auto& [name, bytes] : files) {
    STYLEX_RETURN_IF_ERROR(WriteFileAtomic((folder / name).string(), bytes));
    if (IsHashed(name)) {
      v1::FileHash& hash = *config.add_files();
      hash.set_name(name);
      hash.set_sha256(Sha256(bytes));
      hash.set_size(static_cast<int64_t>(bytes.size()));
    }
  }
  STYLEX_RETURN_IF_ERROR(ValidateModelConfig(config, (folder / kModelFile).string()));
  return WriteJsonMessage(config, (folder / kModelFile).string());
}

// Puts `from` in the place of `to` in one step; what stood there is then under `from`.
absl::Status Exchange(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    return absl::OkStatus();
  }
  // A file system that cannot exchange: for an instant there is no version, never a mixed one.
  const fs::path aside = from.string() + "-old";
  std::error_code error;
  fs::rename(to, aside, error);
  if (!error) {
    fs::rename(from, to, error);
  }
  if (!error) {
    fs::rename(aside, from, error);
  }
  return error ? absl::InternalError(
                     absl::StrCat(to.string(), ": cannot be replaced: ", error.message()))
               : absl::OkStatus();
}

absl::Status CheckFile(const fs::path& folder, const v1::FileHash& hash) {
  const fs::path path = folder / hash.name();
  if (hash.name().empty() || path.filename() != hash.name() || !IsHashed(hash.name())) {
    return absl::InvalidArgumentError(absl::StrCat((folder / kModelFile).string(),
                                                   ": lists a file \"", hash.name(),
                                                   "\", which cannot be part of a version"));
  }
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat(path.string(), ": missing, although ", kModelFile, " lists it"));
  }
  if (static_cast<int64_t>(size) != hash.size()) {
    return absl::DataLossError(absl::StrCat(path.string(), ": has ", size, " bytes, ", kModelFile,
                                            " says ", hash.size()));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string actual, Sha256OfFile(path.string()));
  if (actual != hash.sha256()) {
    return absl::DataLossError(absl::StrCat(path.string(), ": SHA-256 is ", actual, ", ",
                                            kModelFile, " says ", hash.sha256()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ModelVersion>> ListVersions(const std::string& root) {
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    return absl::NotFoundError(absl::StrCat("\"", root, "\": no such folder"));
  }
  std::vector<ModelVersion> versions;
  for (const fs::directory_entry& model : fs::directory_iterator(root, error)) {
    const std::string name = model.path().filename().string();
    if (!model.is_directory() || name.starts_with(".")) {
      continue;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(model.path(), error)) {
      int64_t version = 0;
      if (entry.is_directory() && ParseVersion(entry.path().filename().string(), &version)) {
        versions.push_back({name, version, entry.path().string()});
      }
    }
  }
  std::sort(versions.begin(), versions.end(), [](const ModelVersion& a, const ModelVersion& b) {
    return a.name != b.name ? a.name < b.name : a.version > b.version;
  });
  return versions;
}

int64_t NewestVersion(const std::string& root, const std::string& name) {
  const absl::StatusOr<std::vector<ModelVersion>> versions = ListVersions(root);
  if (versions.ok()) {
    for (const ModelVersion& version : *versions) {
      if (version.name == name) {
        return version.version;
      }
    }
  }
  return 0;
}

absl::StatusOr<std::string> WriteVersion(v1::ModelConfig config,
                                         const std::map<std::string, std::string>& files,
                                         const std::string& root, const std::string& name,
                                         int64_t version, bool replace) {
  if (name.empty() || name.starts_with(".") || name.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" cannot be a model's name: it names a folder"));
  }
  if (version < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("version ", version, ", expected a whole number from 1, or 0 for the next"));
  }
  if (version == 0) {
    version = NewestVersion(root, name) + 1;
  }
  const fs::path target = fs::path(root) / name / absl::StrCat(version);
  const bool exists = fs::exists(target);
  if (exists && !replace) {
    return absl::AlreadyExistsError(absl::StrCat(target.string(), ": there already"));
  }
  STYLEX_ASSIGN_OR_RETURN(const fs::path temporary, MakeTemporaryFolder(target.parent_path()));
  const absl::Cleanup remove_temporary = [&temporary] {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
  };
  STYLEX_RETURN_IF_ERROR(WriteFiles(std::move(config), files, temporary));
  if (exists) {
    STYLEX_RETURN_IF_ERROR(Exchange(temporary, target));
  } else if (rename(temporary.c_str(), target.c_str()) != 0) {
    return absl::AlreadyExistsError(
        absl::StrCat(target.string(), ": cannot be created: ", std::strerror(errno)));
  }
  STYLEX_RETURN_IF_ERROR(SyncFolder(target.parent_path()));
  return target.string();
}

absl::Status UpdateVersion(const std::string& version_directory, const v1::ModelConfig& config,
                           const std::map<std::string, std::string>& changed) {
  const fs::path folder = fs::canonical(version_directory);
  std::map<std::string, std::string> files = changed;
  for (const char* name : {kWeightsFile, kClassifierFile, kAttributesFile, kCardFile}) {
    if (!files.contains(name) && fs::exists(folder / name)) {
      STYLEX_ASSIGN_OR_RETURN(files[name], ReadFile((folder / name).string(), kMaxFileBytes));
    }
  }
  int64_t version = 0;
  if (!ParseVersion(folder.filename().string(), &version)) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder.string(), ": not a version folder (NAME/VERSION)"));
  }
  return WriteVersion(config, files, folder.parent_path().parent_path().string(),
                      folder.parent_path().filename().string(), version, /*replace=*/true)
      .status();
}

absl::StatusOr<v1::ModelConfig> ReadVersion(const std::string& version_directory) {
  const fs::path folder = version_directory;
  v1::ModelConfig config;
  STYLEX_RETURN_IF_ERROR(ReadJsonMessage((folder / kModelFile).string(), &config));
  STYLEX_RETURN_IF_ERROR(ValidateModelConfig(config, (folder / kModelFile).string()));
  std::vector<std::string> listed;
  for (const v1::FileHash& hash : config.files()) {
    STYLEX_RETURN_IF_ERROR(CheckFile(folder, hash));
    listed.push_back(hash.name());
  }
  for (const char* name : {kWeightsFile, kClassifierFile, kAttributesFile}) {
    const bool is_listed = std::find(listed.begin(), listed.end(), name) != listed.end();
    if (!is_listed && (fs::exists(folder / name) || std::string(name) == kWeightsFile)) {
      return absl::DataLossError(
          absl::StrCat((folder / name).string(), ": ", kModelFile, " carries no hash of it"));
    }
  }
  return config;
}

}  // namespace stylex
