// The models of a folder ROOT/NAME/VERSION/..., loaded in the background and kept up to date.
//
// All versions are listed at once (LOADING), then loaded one after the other, the newest version of
// each name first. A version that fails stays listed with the reason; the others serve. The folder
// is checked periodically: new versions are loaded; exchanged versions are reloaded, and the old
// one serves until the new one has been loaded successfully (it is READY with an `error` if the new
// one fails); removed versions are unloaded. A version that fails is tried again once its files
// have changed, in case it is being copied, or if it failed for want of memory
// (RESOURCE_EXHAUSTED), each time after a longer pause. What the callbacks throw ends here: the
// next look follows. A handle keeps its model alive, whatever happens to the entry. Thread-safe.
// The loading function is injected, so this class depends neither on LibTorch nor on the checkpoint
// format.
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

// The location of a version.
struct VersionPath {
  std::string name;
  int64_t version = 0;
  std::string path;
  std::string signature = "";  // changes when the version is exchanged

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
    // Called on the loading thread when the readiness of a name becomes known or changes.
    std::function<void(const std::string& name, bool ready)> on_name;
    // Called once, on the loading thread, when every version has been loaded or has failed for the
    // first time.
    std::function<void()> on_loaded;
    // Versions were unloaded or exchanged; their memory is free unless handles keep it. May be
    // empty.
    std::function<void()> on_unloaded = nullptr;
  };

  // The folder is checked every `interval`; infinite: once.
  explicit ModelRepository(Callbacks callbacks, absl::Duration interval = absl::InfiniteDuration());
  // Waits until the version that is being loaded has finished.
  ~ModelRepository();
  ModelRepository(const ModelRepository&) = delete;
  ModelRepository& operator=(const ModelRepository&) = delete;

  // Starts the loading thread. Call once.
  void Start();

  // The model for a request's NAME (newest ready version), NAME/VERSION, or "" if there is only one
  // name. NOT_FOUND lists the names; INVALID_ARGUMENT if "" is ambiguous; UNAVAILABLE while it
  // loads; FAILED_PRECONDITION if it failed to load.
  absl::StatusOr<std::shared_ptr<const ServedModel>> Find(const std::string& model) const;

  // As Find, but also returns versions that are loading or failed, with `model` null.
  struct Entry {
    v1::ModelSummary summary;
    std::shared_ptr<const ServedModel> model;
    std::string signature = "";
    int failures = 0;           // in a row
    absl::Time retry_at;        // after a failure: not before
    bool wants_memory = false;  // the last failure was for want of it
  };
  // NOT_FOUND for unknown models.
  absl::StatusOr<Entry> Describe(const std::string& model) const;

  // By name, newest version first.
  std::vector<v1::ModelSummary> List() const;

 private:
  using Versions = std::map<int64_t, Entry, std::greater<>>;

  void Work();
  // Updates the entries to match the folder.
  void Refresh();
  // Marks new versions as LOADING and returns the versions to load, the newest of each name first.
  std::vector<VersionPath> FindChanges(const std::vector<VersionPath>& versions);
  // Whether a version must be loaded, for the first time or again.
  static bool IsDue(const Entry& entry, const VersionPath& version);
  // Removes entries that are no longer in the folder.
  void Forget(const std::vector<VersionPath>& versions);
  void LoadOne(const VersionPath& version);
  // Keeps in `entry` how loading it ended.
  void Keep(const VersionPath& version, const absl::StatusOr<LoadedVersion>& loaded,
            Entry* entry) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WaitForNextLook();
  // The name that "" stands for.
  absl::StatusOr<std::string> OnlyName() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Entry> FindEntry(const std::string& model) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Unknown(const std::string& model) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The newest ready version, else the newest that is loading, else the newest.
  static const Entry& Best(const Versions& versions);

  const Callbacks callbacks_;
  const absl::Duration interval_;
  mutable Mutex mutex_;
  CondVar stopped_;
  std::map<std::string, Versions> models_ ABSL_GUARDED_BY(mutex_);
  bool listed_ ABSL_GUARDED_BY(mutex_) = false;
  std::string cannot_list_ ABSL_GUARDED_BY(mutex_);  // why; empty if the last look was good
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_REPOSITORY_MODEL_REPOSITORY_H_
