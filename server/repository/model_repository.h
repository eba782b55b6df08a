// The models of a folder ROOT/NAME/VERSION/..., loaded in the background and kept up to date.
//
// Every version there is gets listed at once (LOADING), then loaded one after the other, the newest
// version of each name first. One that fails is kept with its reason; the others serve. The folder
// is looked at again and again: a version that appeared is loaded, one that was exchanged is loaded
// anew, and serves only once that went well (a bad one leaves the old one in service), one that
// vanished is let go. A handle pins its model, whatever becomes of the entry. Thread-safe. How a
// version is loaded is handed in, so this knows neither LibTorch nor the format of a checkpoint.
#ifndef STYLEX_SERVER_REPOSITORY_MODEL_REPOSITORY_H_
#define STYLEX_SERVER_REPOSITORY_MODEL_REPOSITORY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

class ServedModel;

// Where a version lies.
struct VersionPath {
  std::string name;
  int64_t version = 0;
  std::string path;
  std::string signature = "";  // changes when the version is exchanged for another

  std::string id() const;  // NAME/VERSION
};

struct LoadedVersion {
  std::shared_ptr<const ServedModel> model;
  int32_t resolution = 0;
  std::vector<std::string> labels;
};

class ModelRepository {
 public:
  struct Callbacks {
    // All versions of the folder, by name, newest first.
    std::function<absl::StatusOr<std::vector<VersionPath>>()> list;
    std::function<absl::StatusOr<LoadedVersion>(const VersionPath&)> load;
    // A name became ready or was found not to be. Called on the loading thread.
    std::function<void(const std::string& name, bool ready)> on_name;
    // Every version is loaded or has failed: the first time only. Called on the loading thread.
    std::function<void()> on_loaded;
    // Versions were let go or exchanged; their memory is free unless handles pin it. May be empty.
    std::function<void()> on_unloaded = nullptr;
  };

  // The folder is looked at every `interval`; infinite: once.
  explicit ModelRepository(Callbacks callbacks, absl::Duration interval = absl::InfiniteDuration());
  // Waits for the version that is being loaded.
  ~ModelRepository();
  ModelRepository(const ModelRepository&) = delete;
  ModelRepository& operator=(const ModelRepository&) = delete;

  // Starts the loading thread. Call once.
  void Start();

  // The model that a request names: NAME (newest ready version), NAME/VERSION, or "" while there is
  // only one name. NOT_FOUND lists the names; INVALID_ARGUMENT when "" is ambiguous; UNAVAILABLE
  // while it loads; FAILED_PRECONDITION when it failed.
  absl::StatusOr<std::shared_ptr<const ServedModel>> Find(const std::string& model) const;

  // As Find, but a version that loads or failed is an answer too: `model` is null then.
  struct Entry {
    v1::ModelSummary summary;
    std::shared_ptr<const ServedModel> model;
    std::string signature = "";
  };
  absl::StatusOr<Entry> Describe(const std::string& model) const;

  // By name, newest version first.
  std::vector<v1::ModelSummary> List() const;

 private:
  using Versions = std::map<int64_t, Entry, std::greater<>>;

  void Work();
  // Brings the entries in line with the folder.
  void Refresh();
  // Marks what is new as LOADING; what has to be loaded, newest versions of all names first.
  std::vector<VersionPath> FindChanges(const std::vector<VersionPath>& versions);
  // Lets go of what is not in the folder any more.
  void Forget(const std::vector<VersionPath>& versions);
  void LoadOne(const VersionPath& version);
  bool WaitForNextLook();
  // The name that "" stands for.
  absl::StatusOr<std::string> OnlyName() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Entry> FindEntry(const std::string& model) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Unknown(const std::string& model) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The newest ready version; or else the newest that loads; or else the newest.
  static const Entry& Best(const Versions& versions);

  const Callbacks callbacks_;
  const absl::Duration interval_;
  mutable Mutex mutex_;
  CondVar stopped_;
  std::map<std::string, Versions> models_ ABSL_GUARDED_BY(mutex_);
  bool listed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_REPOSITORY_MODEL_REPOSITORY_H_
