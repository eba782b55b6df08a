#include "server/repository/model_repository.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/exceptions.h"
#include "base/status_macros.h"
#include "server/rpc/errors.h"

namespace stylex {
namespace {

constexpr absl::Duration kLoadingRetryDelay = absl::Seconds(2);
// The longest pause after a failure, in looks at the folder.
constexpr int kMostLooks = 16;

absl::Status LoadingError(const std::string& what) {
  return UnavailableError("LOADING", absl::StrCat(what, " is still loading; try again"),
                          kLoadingRetryDelay);
}

std::string IdOf(const v1::ModelSummary& summary) {
  return absl::StrCat(summary.name(), "/", summary.version());
}

// Whether it came to its end; what it throws ends here and is logged.
template <typename Step>
bool Completes(const char* what, const Step& step) {
  const absl::Status status = WithoutExceptions([&] {
    step();
    return absl::OkStatus();
  });
  WithoutExceptions([&] {
    if (!status.ok()) {
      spdlog::error("{} failed: {}", what, status.ToString());
    }
    return absl::OkStatus();
  }).IgnoreError();
  return status.ok();
}

}  // namespace

std::string VersionPath::id() const { return absl::StrCat(name, "/", version); }

ModelRepository::ModelRepository(Callbacks callbacks, absl::Duration interval)
    : callbacks_(std::move(callbacks)), interval_(interval) {}

ModelRepository::~ModelRepository() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    stopped_.NotifyAll();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ModelRepository::Start() {
  thread_ = std::thread([this] { Work(); });
}

void ModelRepository::Work() {
  bool told = false;
  do {
    Completes("a look at the folder of models", [this] { Refresh(); });
    {
      MutexLock lock(&mutex_);
      if (stop_) {
        return;
      }
    }
    told = told || Completes("what follows the first loading", callbacks_.on_loaded);
  } while (WaitForNextLook());
}

bool ModelRepository::WaitForNextLook() {
  MutexLock lock(&mutex_);
  if (interval_ == absl::InfiniteDuration()) {
    return false;
  }
  const absl::Time next = Clock::Real().Now() + interval_;
  while (!stop_) {
    const absl::Duration left = next - Clock::Real().Now();
    if (left <= absl::ZeroDuration()) {
      return true;
    }
    stopped_.WaitFor(&mutex_, absl::ToChronoNanoseconds(left));
  }
  return false;
}

void ModelRepository::Refresh() {
  const absl::StatusOr<std::vector<VersionPath>> versions = WithoutExceptions(callbacks_.list);
  if (!versions.ok()) {
    // Loaded models stay: a folder that is temporarily unreadable is not empty.
    spdlog::error("cannot list the models: {}", std::string(versions.status().message()));
    MutexLock lock(&mutex_);
    cannot_list_ = std::string(versions.status().message());
    return;
  }
  Forget(*versions);
  for (const VersionPath& version : FindChanges(*versions)) {
    {
      MutexLock lock(&mutex_);
      if (stop_) {
        return;
      }
    }
    LoadOne(version);
  }
}

void ModelRepository::Forget(const std::vector<VersionPath>& versions) {
  std::set<std::pair<std::string, int64_t>> there;
  for (const VersionPath& version : versions) {
    there.emplace(version.name, version.version);
  }
  std::set<std::string> unready;
  std::vector<std::shared_ptr<const ServedModel>> gone;  // released after the mutex
  {
    MutexLock lock(&mutex_);
    for (auto& [name, entries] : models_) {
      for (auto entry = entries.begin(); entry != entries.end();) {
        if (there.contains({name, entry->first})) {
          ++entry;
        } else {
          spdlog::info("model {} is gone from the folder", IdOf(entry->second.summary));
          gone.push_back(std::move(entry->second.model));
          entry = entries.erase(entry);
        }
      }
      if (entries.empty() || Best(entries).summary.state() != v1::MODEL_STATE_READY) {
        unready.insert(name);
      }
    }
    std::erase_if(models_, [](const auto& model) { return model.second.empty(); });
  }
  if (!gone.empty()) {
    gone.clear();
    for (const std::string& name : unready) {
      callbacks_.on_name(name, false);
    }
    if (callbacks_.on_unloaded) {
      callbacks_.on_unloaded();
    }
  }
}

std::vector<VersionPath> ModelRepository::FindChanges(const std::vector<VersionPath>& versions) {
  std::map<std::string, int> seen;
  std::map<int, std::vector<VersionPath>> by_age;
  std::set<std::string> new_names;
  {
    MutexLock lock(&mutex_);
    for (const VersionPath& version : versions) {
      const int age = seen[version.name]++;
      if (!models_.contains(version.name)) {
        new_names.insert(version.name);
      }
      const bool known = models_[version.name].contains(version.version);
      Entry& entry = models_[version.name][version.version];
      if (known && !IsDue(entry, version)) {
        continue;
      }
      by_age[age].push_back(version);
      if (entry.model == nullptr) {  // else the old model serves until the new one is loaded
        entry.summary.set_name(version.name);
        entry.summary.set_version(version.version);
        entry.summary.set_state(v1::MODEL_STATE_LOADING);
        entry.summary.clear_error();
      }
    }
    listed_ = true;
    cannot_list_.clear();
  }
  for (const std::string& name : new_names) {
    callbacks_.on_name(name, false);
  }
  std::vector<VersionPath> changes;
  for (const auto& [age, of_age] : by_age) {
    changes.insert(changes.end(), of_age.begin(), of_age.end());
  }
  return changes;
}

bool ModelRepository::IsDue(const Entry& entry, const VersionPath& version) {
  // One that is still loading was left by a look that did not come to its end.
  return (entry.signature != version.signature || entry.wants_memory ||
          entry.summary.state() == v1::MODEL_STATE_LOADING) &&
         Clock::Real().Now() >= entry.retry_at;
}

void ModelRepository::Keep(const VersionPath& version, const absl::StatusOr<LoadedVersion>& loaded,
                           Entry* entry) const {
  if (loaded.ok()) {
    entry->summary.mutable_labels()->Assign(loaded->labels.begin(), loaded->labels.end());
    entry->summary.set_resolution(loaded->resolution);
    entry->summary.clear_error();
    entry->summary.set_state(v1::MODEL_STATE_READY);
    entry->model = loaded->model;
    entry->failures = 0;
    entry->retry_at = absl::InfinitePast();
  } else {
    const std::string why(loaded.status().message());
    if (entry->model == nullptr) {
      entry->summary.set_error(why);
      entry->summary.set_state(v1::MODEL_STATE_FAILED);
    } else {
      entry->summary.set_error(absl::StrCat(
          "what is in the folder now did not load, what was loaded before serves: ", why));
    }
    const int looks = std::min(kMostLooks, 1 << std::min(entry->failures, 10));
    ++entry->failures;
    entry->retry_at = Clock::Real().Now() + interval_ * looks;
  }
  entry->wants_memory = absl::IsResourceExhausted(loaded.status());
  entry->signature = version.signature;
}

void ModelRepository::LoadOne(const VersionPath& version) {
  const absl::StatusOr<LoadedVersion> loaded =
      WithoutExceptions([&] { return callbacks_.load(version); });
  std::shared_ptr<const ServedModel> old;
  {
    MutexLock lock(&mutex_);
    Entry& entry = models_[version.name][version.version];
    old = entry.model;
    Keep(version, loaded, &entry);
  }
  if (!loaded.ok()) {
    spdlog::error("model {} failed{}: {}", version.id(),
                  old == nullptr ? "" : ", what was loaded before goes on",
                  std::string(loaded.status().message()));
    return;
  }
  spdlog::info("model {} is ready", version.id());
  callbacks_.on_name(version.name, true);
  if (old != nullptr && callbacks_.on_unloaded) {
    old.reset();
    callbacks_.on_unloaded();
  }
}

absl::Status ModelRepository::Unknown(const std::string& model) const {
  std::vector<std::string> names;
  for (const auto& [name, versions] : models_) {
    names.push_back(name);
  }
  return ModelNotFoundError(model, names);
}

absl::StatusOr<std::string> ModelRepository::OnlyName() const {
  std::vector<std::string> usable;
  for (const auto& [name, versions] : models_) {
    if (Best(versions).summary.state() != v1::MODEL_STATE_FAILED) {
      usable.push_back(name);
    }
  }
  if (usable.size() == 1) {
    return usable.front();
  }
  if (usable.empty()) {
    return models_.size() == 1 ? models_.begin()->first : absl::StatusOr<std::string>(Unknown(""));
  }
  const Fault fault = {"model",
                       absl::StrCat("is empty, and several models are loaded: ", ListOf(usable))};
  return InvalidRequestError({&fault, 1}, {{"models", ListOf(usable)}});
}

const ModelRepository::Entry& ModelRepository::Best(const Versions& versions) {
  for (const v1::ModelState state : {v1::MODEL_STATE_READY, v1::MODEL_STATE_LOADING}) {
    for (const auto& [version, entry] : versions) {
      if (entry.summary.state() == state) {
        return entry;
      }
    }
  }
  return versions.begin()->second;
}

absl::StatusOr<ModelRepository::Entry> ModelRepository::FindEntry(const std::string& model) const {
  if (!listed_) {
    return cannot_list_.empty()
               ? LoadingError("the model repository")
               : UnavailableError("MODELS_UNREADABLE",
                                  absl::StrCat("the models cannot be listed: ", cannot_list_),
                                  kLoadingRetryDelay);
  }
  std::string name = model;
  if (model.empty()) {
    STYLEX_ASSIGN_OR_RETURN(name, OnlyName());
  }
  const auto whole = models_.find(name);
  if (whole != models_.end()) {
    return Best(whole->second);
  }
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) {
    return Unknown(model);
  }
  const auto versions = models_.find(name.substr(0, slash));
  int64_t version = 0;
  // "01" is no version, neither as a folder's name nor here.
  if (versions == models_.end() || !absl::SimpleAtoi(name.substr(slash + 1), &version) ||
      absl::StrCat(version) != name.substr(slash + 1)) {
    return Unknown(model);
  }
  const auto entry = versions->second.find(version);
  if (entry == versions->second.end()) {
    return Unknown(model);
  }
  return entry->second;
}

absl::StatusOr<ModelRepository::Entry> ModelRepository::Describe(const std::string& model) const {
  MutexLock lock(&mutex_);
  return FindEntry(model);
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRepository::Find(
    const std::string& model) const {
  STYLEX_ASSIGN_OR_RETURN(const Entry entry, Describe(model));
  switch (entry.summary.state()) {
    case v1::MODEL_STATE_READY:
      return entry.model;
    case v1::MODEL_STATE_FAILED:
      return PreconditionError("MODEL_FAILED", IdOf(entry.summary),
                               absl::StrCat("the model did not load: ", entry.summary.error()));
    default:
      return LoadingError(absl::StrCat("model ", IdOf(entry.summary)));
  }
}

std::vector<v1::ModelSummary> ModelRepository::List() const {
  MutexLock lock(&mutex_);
  std::vector<v1::ModelSummary> summaries;
  for (const auto& [name, versions] : models_) {
    for (const auto& [version, entry] : versions) {
      summaries.push_back(entry.summary);
    }
  }
  return summaries;
}

}  // namespace stylex
