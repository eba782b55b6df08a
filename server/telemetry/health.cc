#include "server/telemetry/health.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/exceptions.h"
#include "server/rpc/errors.h"

namespace stylex {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One watch. Deletes itself in OnDone, which gRPC calls after Finish and after all reactions have
// returned. The service's mutex guards its state and the set of watchers.
class HealthService::Watcher : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService* service, std::string name) : service_(service), name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The following require the service's mutex.
  void Tell(Status status) {
    wanted_ = status;
    WriteIfDue();
  }
  void End(const grpc::Status& status) {
    if (!ended_) {
      ended_ = true;
      Finish(status);
    }
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&service_->mutex_);
    writing_ = false;
    if (!ok) {
      End(grpc::Status::CANCELLED);  // the client went away
    } else {
      WriteIfDue();
    }
  }
  void OnCancel() override {
    MutexLock lock(&service_->mutex_);
    End(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    service_->Forget(this);
    delete this;
  }

 private:
  // At most one write is outstanding; intermediate states are skipped.
  void WriteIfDue() {
    if (writing_ || ended_ || wanted_ == told_) {
      return;
    }
    told_ = wanted_;
    writing_ = true;
    response_.set_status(*told_);
    StartWrite(&response_);
  }

  HealthService* const service_;
  const std::string name_;
  HealthCheckResponse response_;
  std::optional<Status> wanted_;
  std::optional<Status> told_;
  bool writing_ = false;
  bool ended_ = false;
};

HealthService::HealthService(std::string service_name) : service_name_(std::move(service_name)) {}

void HealthService::SetLifecycle(Lifecycle lifecycle) {
  MutexLock lock(&mutex_);
  lifecycle_ = std::max(lifecycle_, lifecycle);
  Notify();
}

Lifecycle HealthService::lifecycle() const {
  MutexLock lock(&mutex_);
  return lifecycle_;
}

void HealthService::SetModel(const std::string& name, bool ready) {
  MutexLock lock(&mutex_);
  models_[name] = ready;
  Notify();
}

void HealthService::EndWatches() {
  MutexLock lock(&mutex_);
  ended_ = true;
  for (Watcher* watcher : watchers_) {
    watcher->End(ToGrpcStatus(DrainingError(), ""));
  }
}

bool HealthService::ready() const {
  return lifecycle_ == Lifecycle::kServing &&
         std::any_of(models_.begin(), models_.end(),
                     [](const auto& model) { return model.second; });
}

HealthService::Status HealthService::StatusOf(absl::string_view name) const {
  const auto serving = [](bool yes) {
    return yes ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  };
  if (name.empty() || name == service_name_ || name == "readiness") {
    return serving(ready());
  }
  if (name == "startup") {
    return serving(lifecycle_ != Lifecycle::kStarting);
  }
  if (name == "liveness") {
    return serving(lifecycle_ != Lifecycle::kBroken);
  }
  if (absl::ConsumePrefix(&name, "model:")) {
    const auto found = models_.find(name);
    if (found != models_.end()) {
      return serving(found->second && lifecycle_ <= Lifecycle::kServing);
    }
  }
  return HealthCheckResponse::SERVICE_UNKNOWN;
}

void HealthService::Notify() {
  for (Watcher* watcher : watchers_) {
    watcher->Tell(StatusOf(watcher->name()));
  }
}

void HealthService::Forget(Watcher* watcher) {
  MutexLock lock(&mutex_);
  watchers_.erase(watcher);
}

absl::Status HealthService::Answer(const std::string& name, HealthCheckResponse* response) const {
  MutexLock lock(&mutex_);
  response->set_status(StatusOf(name));
  if (response->status() != HealthCheckResponse::SERVICE_UNKNOWN) {
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("unknown service ", Quoted(name), ": ask for '', '",
                                          service_name_,
                                          "', 'startup', 'readiness', 'liveness' or 'model:NAME'"));
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::Status told(grpc::StatusCode::RESOURCE_EXHAUSTED, "");  // no memory for more
  WithoutExceptions([&] {
    told = ToGrpcStatus(Answer(request->service(), response), "");
    return absl::OkStatus();
  }).IgnoreError();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(told);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const HealthCheckRequest* request) {
  std::unique_ptr<Watcher> watcher;
  const absl::Status made = WithoutExceptions([&] {
    watcher = std::make_unique<Watcher>(this, request->service());
    MutexLock lock(&mutex_);
    if (ended_) {
      watcher->End(ToGrpcStatus(DrainingError(), ""));
    } else {
      watchers_.insert(watcher.get());
      watcher->Tell(StatusOf(watcher->name()));
    }
    return absl::OkStatus();
  });
  if (!made.ok()) {
    return nullptr;  // no memory for it: gRPC answers UNIMPLEMENTED
  }
  return watcher.release();
}

}  // namespace stylex
