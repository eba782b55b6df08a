#include "models/checkpoint/version_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/safetensors.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

// Files without a hash: the one that contains the hashes, and the model card, which people may
// edit.
bool IsHashed(const std::string& name) { return name != kModelFile && name != kCardFile; }

// Accepts only names of visible files without folders: nothing may be written to, or verified in,
// another folder.
bool IsFileName(const std::string& name) {
  return !name.empty() && !name.starts_with('.') && name.find('/') == std::string::npos;
}

// The greatest number is excluded, so that there is always a next version.
bool ParseVersion(const std::string& text, int64_t* version) {
  return absl::SimpleAtoi(text, version) && *version > 0 &&
         *version < std::numeric_limits<int64_t>::max() && absl::StrCat(*version) == text;
}

absl::Status SyncFolder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(folder.string(), ": cannot be flushed"));
  }
  fsync(fd);  // best effort: the files have been flushed
  close(fd);
  return absl::OkStatus();
}

absl::StatusOr<fs::path> MakeTemporaryFolder(const fs::path& parent) {
  std::error_code error;
  fs::create_directories(parent, error);
  std::string pattern = (parent / ".tmp-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr) {
    return absl::ErrnoToStatus(error ? error.value() : errno,
                               absl::StrCat(parent.string(), ": no folder can be created there"));
  }
  fs::permissions(pattern, fs::perms(0755), error);
  return fs::path(pattern);
}

absl::Status CheckContent(const v1::ModelConfig& config,
                          const std::map<std::string, std::string>& files, const fs::path& target) {
  for (const auto& [name, bytes] : files) {
    if (!IsFileName(name) || name == kModelFile) {
      return absl::InvalidArgumentError(
          absl::StrCat(target.string(), ": cannot hold a file named \"", name, "\""));
    }
  }
  if (!files.contains(kWeightsFile)) {
    return absl::InvalidArgumentError(
        absl::StrCat(target.string(), ": would have no ", kWeightsFile));
  }
  return ValidateModelConfig(config, (target / kModelFile).string());
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
  return WriteJsonMessage(config, (folder / kModelFile).string());
}

// Exchanges the folders `from` and `to` in one step.
absl::Status Exchange(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    return absl::OkStatus();
  }
  int error = errno;
  if (error == EINVAL || error == ENOSYS || error == EOPNOTSUPP) {
    // If the file system cannot exchange, there is briefly no version, but never a mixed one.
    const std::string aside = from.string() + "-old";
    if (rename(to.c_str(), aside.c_str()) == 0) {
      if (rename(from.c_str(), to.c_str()) == 0) {
        error = rename(aside.c_str(), from.c_str()) == 0 ? 0 : errno;
      } else {
        error = errno;
        rename(aside.c_str(), to.c_str());  // restores the old version
      }
    } else {
      error = errno;
    }
  }
  return error == 0 ? absl::OkStatus()
                    : absl::ErrnoToStatus(error, absl::StrCat(to.string(), ": cannot be replaced"));
}

absl::Status AlreadyThere(const fs::path& target) {
  return absl::AlreadyExistsError(absl::StrCat(target.string(), ": there already"));
}

absl::Status CheckTarget(const std::string& root, const std::string& name, int64_t version,
                         bool replace) {
  if (!IsFileName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" cannot be a model's name: it names a folder"));
  }
  if (version < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("version ", version, ", expected a whole number from 1, or 0 for the next"));
  }
  const fs::path target = fs::path(root) / name / absl::StrCat(version);
  std::error_code ignored;
  return version != 0 && !replace && fs::exists(target, ignored) ? AlreadyThere(target)
                                                                 : absl::OkStatus();
}

// Renames a finished folder to `version`, or if that is 0 to the next free number, trying again if
// another program takes it at the same moment. Returns the path.
absl::StatusOr<fs::path> Publish(const fs::path& temporary, int64_t version, bool replace) {
  const fs::path model = temporary.parent_path();
  int64_t number = version;
  if (version == 0) {
    number = NewestVersion(model.parent_path().string(), model.filename().string()) + 1;
  }
  while (true) {
    const fs::path target = model / absl::StrCat(number);
    if (rename(temporary.c_str(), target.c_str()) == 0) {
      return target;
    }
    if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
      return absl::ErrnoToStatus(errno, absl::StrCat(target.string(), ": cannot be created"));
    }
    if (version != 0) {
      STYLEX_RETURN_IF_ERROR(replace ? Exchange(temporary, target) : AlreadyThere(target));
      return target;
    }
    ++number;
  }
}

// The bytes of a file, as far as it has the size and the hash that are listed.
absl::StatusOr<std::string> ReadChecked(const fs::path& folder, const v1::FileHash& hash) {
  const fs::path path = folder / hash.name();
  if (!IsFileName(hash.name()) || !IsHashed(hash.name())) {
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
    return absl::DataLossError(
        absl::StrCat(path.string(), ": has ", size, " bytes, ", kModelFile, " says ", hash.size()));
  }
  STYLEX_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path.string(), kMaxFileBytes));
  const std::string actual = Sha256(bytes);
  if (actual != hash.sha256()) {
    return absl::DataLossError(absl::StrCat(path.string(), ": SHA-256 is ", actual, ", ",
                                            kModelFile, " says ", hash.sha256()));
  }
  return bytes;
}

// `keep`: whether the result has the files' bytes.
absl::StatusOr<VersionFiles> Verify(const fs::path& folder, const std::string& json, bool keep) {
  const std::string model_file = (folder / kModelFile).string();
  VersionFiles version;
  v1::ModelConfig& config = version.config;
  STYLEX_RETURN_IF_ERROR(FromJson(json, model_file, &config));
  STYLEX_RETURN_IF_ERROR(ValidateModelConfig(config, model_file));
  std::set<std::string> listed;
  for (const v1::FileHash& hash : config.files()) {
    STYLEX_ASSIGN_OR_RETURN(std::string bytes, ReadChecked(folder, hash));
    if (keep) {
      version.files[hash.name()] = std::move(bytes);
    }
    listed.insert(hash.name());
  }
  for (const std::string name : {kWeightsFile, kClassifierFile, kAttributesFile, kTruthFile}) {
    std::error_code ignored;
    if (!listed.contains(name) && (fs::exists(folder / name, ignored) || name == kWeightsFile)) {
      return absl::DataLossError(
          absl::StrCat((folder / name).string(), ": ", kModelFile, " carries no hash of it"));
    }
  }
  return version;
}

absl::StatusOr<VersionFiles> ReadAndVerify(const std::string& version_directory, bool keep) {
  const fs::path folder = version_directory;
  const std::string model_file = (folder / kModelFile).string();
  STYLEX_ASSIGN_OR_RETURN(std::string json, ReadFile(model_file, kMaxJsonBytes));
  while (true) {
    absl::StatusOr<VersionFiles> version = Verify(folder, json, keep);
    absl::StatusOr<std::string> now = ReadFile(model_file, kMaxJsonBytes);
    if (!now.ok() || *now == json) {
      return version;
    }
    json = *std::move(now);  // UpdateVersion came in between: what was seen may be of two versions
  }
}

// An existing version's folder, without links.
struct Place {
  fs::path folder;
  std::string root, name;
  int64_t version = 0;
};

absl::StatusOr<Place> PlaceOf(const std::string& version_directory) {
  Place place;
  std::error_code error;
  place.folder = fs::canonical(version_directory, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), version_directory);
  }
  if (!ParseVersion(place.folder.filename().string(), &place.version)) {
    return absl::InvalidArgumentError(
        absl::StrCat(place.folder.string(), ": not a version folder (NAME/VERSION)"));
  }
  place.root = place.folder.parent_path().parent_path().string();
  place.name = place.folder.parent_path().filename().string();
  return place;
}

}  // namespace

absl::StatusOr<std::vector<ModelVersion>> ListVersions(const std::string& root) {
  std::error_code error;
  fs::directory_iterator model(root, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("\"", root, "\": no folder that can be listed"));
  }
  // Folders that cannot be read, or vanish meanwhile, are skipped.
  std::error_code ignored;
  std::vector<ModelVersion> versions;
  for (; model != fs::directory_iterator(); model.increment(error)) {
    const std::string name = model->path().filename().string();
    if (name.starts_with(".") || !model->is_directory(ignored)) {
      continue;
    }
    fs::directory_iterator entry(model->path(), ignored);
    for (; entry != fs::directory_iterator(); entry.increment(ignored)) {
      int64_t version = 0;
      if (ParseVersion(entry->path().filename().string(), &version) &&
          entry->is_directory(ignored)) {
        versions.push_back({name, version, entry->path().string()});
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

absl::Status CheckVersionCanBeWritten(const std::string& root, const std::string& name,
                                      int64_t version, bool replace) {
  STYLEX_RETURN_IF_ERROR(CheckTarget(root, name, version, replace));
  const fs::path model = fs::path(root) / name;
  std::error_code ignored;
  const bool is_new = !fs::exists(model, ignored);
  STYLEX_ASSIGN_OR_RETURN(const fs::path temporary, MakeTemporaryFolder(model));
  fs::remove(temporary, ignored);
  if (is_new) {
    fs::remove(model, ignored);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> WriteVersion(v1::ModelConfig config,
                                         const std::map<std::string, std::string>& files,
                                         const std::string& root, const std::string& name,
                                         int64_t version, bool replace) {
  const fs::path model = fs::path(root) / name;
  const fs::path target = model / (version == 0 ? std::string("NEXT") : absl::StrCat(version));
  STYLEX_RETURN_IF_ERROR(CheckTarget(root, name, version, replace));
  STYLEX_RETURN_IF_ERROR(CheckContent(config, files, target));
  std::error_code ignored;
  STYLEX_ASSIGN_OR_RETURN(const fs::path temporary, MakeTemporaryFolder(model));
  const absl::Cleanup remove_temporary = [&temporary, &ignored] {
    fs::remove_all(temporary, ignored);
  };
  STYLEX_RETURN_IF_ERROR(WriteFiles(std::move(config), files, temporary));
  STYLEX_ASSIGN_OR_RETURN(const fs::path written, Publish(temporary, version, replace));
  STYLEX_RETURN_IF_ERROR(SyncFolder(model));
  return written.string();
}

absl::Status CheckVersionCanBeUpdated(const std::string& version_directory) {
  STYLEX_ASSIGN_OR_RETURN(const Place place, PlaceOf(version_directory));
  return CheckVersionCanBeWritten(place.root, place.name, place.version, /*replace=*/true);
}

absl::Status UpdateVersion(const std::string& version_directory, const v1::ModelConfig& config,
                           const std::map<std::string, std::string>& changed) {
  STYLEX_ASSIGN_OR_RETURN(const Place place, PlaceOf(version_directory));
  const fs::path& folder = place.folder;
  // Damaged files must not get new hashes.
  STYLEX_RETURN_IF_ERROR(ReadVersion(folder.string()).status());
  std::map<std::string, std::string> files = changed;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == kModelFile || files.contains(name)) {
      continue;
    }
    if (!IsFileName(name) || !entry->is_regular_file(error)) {
      return absl::FailedPreconditionError(absl::StrCat(
          entry->path().string(), ": does not belong in a version folder and would be lost"));
    }
    STYLEX_ASSIGN_OR_RETURN(files[name], ReadFile(entry->path().string(), kMaxFileBytes));
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(), folder.string());
  }
  return WriteVersion(config, files, place.root, place.name, place.version, /*replace=*/true)
      .status();
}

absl::StatusOr<v1::ModelConfig> ReadVersion(const std::string& version_directory) {
  STYLEX_ASSIGN_OR_RETURN(VersionFiles version, ReadAndVerify(version_directory, /*keep=*/false));
  return std::move(version.config);
}

absl::StatusOr<VersionFiles> ReadVersionFiles(const std::string& version_directory) {
  return ReadAndVerify(version_directory, /*keep=*/true);
}

namespace {

// Why ROOT/NAME/X is not served; empty: it may be, or is not meant to be.
std::string WhyNotServed(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  std::error_code ignored;
  int64_t version = 0;
  if (name.starts_with(".")) {
    return "";
  }
  if (ParseVersion(name, &version)) {
    return entry.is_symlink(ignored) && !entry.exists(ignored) ? "it is a link to nothing" : "";
  }
  return entry.is_directory(ignored) ? "its name is no version; expected a whole number such as 1, "
                                       "without leading zeros"
                                     : "";
}

}  // namespace

std::vector<std::string> StrayVersions(const std::string& root) {
  std::vector<std::string> stray;
  std::error_code ignored;
  fs::directory_iterator model(root, ignored);
  for (; model != fs::directory_iterator(); model.increment(ignored)) {
    if (model->path().filename().string().starts_with(".") || !model->is_directory(ignored)) {
      continue;
    }
    fs::directory_iterator entry(model->path(), ignored);
    for (; entry != fs::directory_iterator(); entry.increment(ignored)) {
      const std::string why = WhyNotServed(*entry);
      if (!why.empty()) {
        stray.push_back(absl::StrCat(entry->path().string(), " is not served: ", why));
      }
    }
  }
  std::sort(stray.begin(), stray.end());
  return stray;
}

}  // namespace stylex
