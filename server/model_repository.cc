#include "server/model_repository.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/errors.h"

namespace stylex {
namespace {

constexpr absl::Duration kLoadingRetryDelay = absl::Seconds(2);

absl::Status LoadingError(const std::string& what) {
  return UnavailableError("LOADING", absl::StrCat(what, " is still loading; try again"),
                          kLoadingRetryDelay);
}

std::string IdOf(const v1::ModelSummary& summary) {
  return absl::StrCat(summary.name(), "/", summary.version());
}

}  // namespace

std::string VersionPath::id() const { return absl::StrCat(name, "/", version); }

ModelRepository::ModelRepository(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

ModelRepository::~ModelRepository() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ModelRepository::Start() {
  thread_ = std::thread([this] { LoadAll(); });
}

void ModelRepository::LoadAll() {
  absl::StatusOr<std::vector<VersionPath>> versions = callbacks_.list();
  if (!versions.ok()) {
    spdlog::error("cannot list the models: {}", std::string(versions.status().message()));
    versions = std::vector<VersionPath>();
  }
  {
    MutexLock lock(&mutex_);
    for (const VersionPath& version : *versions) {
      v1::ModelSummary& summary = models_[version.name][version.version].summary;
      summary.set_name(version.name);
      summary.set_version(version.version);
      summary.set_state(v1::MODEL_STATE_LOADING);
    }
    listed_ = true;
  }
  // Newest versions of all names come before older ones.
  std::map<std::string, int> seen;
  std::map<int, std::vector<VersionPath>> by_age;
  for (const VersionPath& version : *versions) {
    by_age[seen[version.name]++].push_back(version);
    callbacks_.on_name(version.name, false);
  }
  for (const auto& [age, of_age] : by_age) {
    for (const VersionPath& version : of_age) {
      if (stop_) {
        return;
      }
      LoadOne(version);
    }
  }
  callbacks_.on_loaded();
}

void ModelRepository::LoadOne(const VersionPath& version) {
  absl::StatusOr<LoadedVersion> loaded = callbacks_.load(version);
  {
    MutexLock lock(&mutex_);
    Entry& entry = models_[version.name][version.version];
    if (loaded.ok()) {
      entry.model = loaded->model;
      entry.summary.set_state(v1::MODEL_STATE_READY);
      entry.summary.set_resolution(loaded->resolution);
      entry.summary.mutable_labels()->Assign(loaded->labels.begin(), loaded->labels.end());
    } else {
      entry.summary.set_state(v1::MODEL_STATE_FAILED);
      entry.summary.set_error(std::string(loaded.status().message()));
    }
  }
  if (loaded.ok()) {
    spdlog::info("model {} is ready", version.id());
    callbacks_.on_name(version.name, true);
  } else {
    spdlog::error("model {} failed: {}", version.id(), std::string(loaded.status().message()));
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
    return LoadingError("the model repository");
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
  if (versions == models_.end() || !absl::SimpleAtoi(name.substr(slash + 1), &version)) {
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
