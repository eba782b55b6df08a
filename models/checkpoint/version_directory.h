// The folders of a model repository: ROOT/NAME/VERSION, each written atomically, each with a
// model.json that contains the hashes of its other files.
#ifndef STYLEX_MODELS_CHECKPOINT_VERSION_DIRECTORY_H_
#define STYLEX_MODELS_CHECKPOINT_VERSION_DIRECTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

inline constexpr char kModelFile[] = "model.json";
inline constexpr char kWeightsFile[] = "weights.safetensors";
inline constexpr char kClassifierFile[] = "classifier.pt";
inline constexpr char kAttributesFile[] = "attributes.json";
inline constexpr char kTruthFile[] = "truth.json";
inline constexpr char kCardFile[] = "README.md";

struct ModelVersion {
  std::string name;
  int64_t version = 0;
  std::string path;
};

// Every existing ROOT/NAME/VERSION, by name, newest version first; temporary and other folders are
// skipped. NOT_FOUND (or PERMISSION_DENIED) when ROOT is not a folder that can be listed.
absl::StatusOr<std::vector<ModelVersion>> ListVersions(const std::string& root);

// The greatest version of a name, or 0.
int64_t NewestVersion(const std::string& root, const std::string& name);

// Checks that WriteVersion would fail whatever the content, to be made before anything is computed:
// a name that is no folder's, a negative version, one that exists (without `replace`), a folder
// that cannot be written.
absl::Status CheckVersionCanBeWritten(const std::string& root, const std::string& name,
                                      int64_t version, bool replace);

// Writes a version from the contents of its files (file name -> bytes); model.json is written from
// `config`, with `files` filled in. version 0: the next free one. With `replace` an existing
// version is exchanged in one step; without it that is ALREADY_EXISTS. INVALID_ARGUMENT for a
// config that ValidateModelConfig refuses or without weights, RESOURCE_EXHAUSTED when the disk is
// full. Returns the version's path. A killed program leaves at most a ROOT/NAME/.tmp-*, which is
// never listed.
absl::StatusOr<std::string> WriteVersion(v1::ModelConfig config,
                                         const std::map<std::string, std::string>& files,
                                         const std::string& root, const std::string& name,
                                         int64_t version, bool replace);

// Replaces an existing version by one with `config` and the `changed` files. The unchanged files
// must still match their hashes (else as ReadVersion); a subfolder, which would be lost, is
// FAILED_PRECONDITION.
absl::Status UpdateVersion(const std::string& version_directory, const v1::ModelConfig& config,
                           const std::map<std::string, std::string>& changed);

// A version's config, and its files: name -> bytes, of all that have a hash.
struct VersionFiles {
  v1::ModelConfig config;
  std::map<std::string, std::string> files;
};

// As ReadVersion, with the bytes that were hashed, so that what is used is what was checked.
absl::StatusOr<VersionFiles> ReadVersionFiles(const std::string& version_directory);

// Entries ROOT/NAME/X that look like versions but are not served, and why, a sentence each,
// sorted: a folder whose name is no version ("01", "v2"), and a version that is a link to nothing.
// Hidden entries are not.
std::vector<std::string> StrayVersions(const std::string& root);

// Checks that UpdateVersion would fail whatever the content: a folder that is no version's, or that
// cannot be replaced.
absl::Status CheckVersionCanBeUpdated(const std::string& version_directory);

// Reads model.json and checks the config, that every file it lists exists with the right size and
// hash, and that no checkpoint file is unlisted. DATA_LOSS names the file and both hashes. May run
// concurrently with UpdateVersion: it sees one version or the other, never a mixture.
absl::StatusOr<v1::ModelConfig> ReadVersion(const std::string& version_directory);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_VERSION_DIRECTORY_H_
