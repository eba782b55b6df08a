#include "server/rpc/call_runner.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/exceptions.h"
#include "base/status_macros.h"
#include "server/rpc/forwarded_peer.h"
#include "server/rpc/request_id.h"
#include "server/scheduling/device_scheduler.h"

namespace stylex {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;

absl::Time Deadline(const grpc::CallbackServerContext& context, absl::Time now,
                    absl::Duration default_deadline) {
  // gRPC tells the deadline as a date, and a missing one as one in the far future.
  const absl::Duration left = absl::FromChrono(context.deadline()) - absl::Now();
  return now + (left > absl::Hours(24 * 365) ? default_deadline : left);
}

// The value of the field `model`, which most requests have.
std::string ModelOf(const google::protobuf::Message& request) {
  const google::protobuf::FieldDescriptor* field =
      request.GetDescriptor()->FindFieldByName("model");
  return field == nullptr ? "" : request.GetReflection()->GetString(request, field).substr(0, 200);
}

absl::string_view MetadataValue(const grpc::CallbackServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  return found == context.client_metadata().end()
             ? absl::string_view()
             : absl::string_view(found->second.data(), found->second.size());
}

// The client's request id, if it is valid for a log line.
std::string RequestId(const grpc::CallbackServerContext& context) {
  const absl::string_view id = MetadataValue(context, kRequestIdKey);
  const bool printable = std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  return !id.empty() && id.size() <= kMaxRequestIdBytes && printable ? std::string(id)
                                                                     : RandomRequestId();
}

// https://www.w3.org/TR/trace-context: version-trace-parent-flags; empty if invalid.
std::string TraceParent(const grpc::CallbackServerContext& context) {
  constexpr absl::string_view kShape = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
  const absl::string_view value = MetadataValue(context, "traceparent");
  if (value.size() != kShape.size()) {
    return "";
  }
  for (size_t i = 0; i < value.size(); ++i) {
    const bool fits = kShape[i] == '-' ? value[i] == '-'
                                       : absl::ascii_isxdigit(static_cast<unsigned char>(value[i]));
    if (!fits) {
      return "";
    }
  }
  return std::string(value);
}

}  // namespace

CallRunner::CallRunner(Options options, const Pools& pools, const Clock* clock)
    : options_(std::move(options)), pools_(pools), clock_(clock) {}

std::shared_ptr<CallRunner::Call> CallRunner::MakeCall(const char* method,
                                                       grpc::CallbackServerContext* context,
                                                       const google::protobuf::Message& request,
                                                       absl::Duration default_deadline) const {
  const absl::Time now = clock_->Now();
  auto call = std::make_shared<Call>(context, clock_, Deadline(*context, now, default_deadline),
                                     &abandon_all_);
  call->start = now;
  CallRecord& record = call->record;
  record.method = method;
  record.request_id = RequestId(*context);
  record.model = ModelOf(request);
  record.traceparent = TraceParent(*context);
  record.peer = PeerOf(*context);
  record.request_bytes = static_cast<int64_t>(request.ByteSizeLong());
  record.request = &request;
  // Trailing, not initial metadata: once initial metadata has been received, a client considers the
  // call committed and does not retry it on another server, even if its status is retryable.
  context->AddTrailingMetadata(kRequestIdKey, record.request_id);
  for (CallObserver* observer : options_.observers) {
    try {
      observer->OnStarted(method);
    } catch (const std::exception&) {
      // As in Report.
    }
  }
  return call;
}

absl::Status CallRunner::Admit(Call* call) const {
  if (options_.tokens != nullptr &&
      !options_.tokens->Allows(MetadataValue(*call->context, "authorization"))) {
    return UnauthenticatedError();
  }
  if (refusing_) {
    return DrainingError();
  }
  const auto bytes = static_cast<size_t>(call->record.request_bytes);
  if (bytes > options_.max_message_bytes) {
    return MessageTooLargeError(bytes, options_.max_message_bytes);
  }
  if (options_.auditor != nullptr && !options_.auditor->Ready().ok()) {
    return AuditError();
  }
  if (options_.requests != nullptr) {
    // Of many small parts a message takes many times the bytes that it came in.
    const int64_t taken = std::max(call->record.request_bytes,
                                   static_cast<int64_t>(call->record.request->SpaceUsedLong()));
    if (!options_.requests->Fits(taken)) {
      return MessageTooLargeError(static_cast<size_t>(taken),
                                  static_cast<size_t>(options_.requests->bytes()));
    }
    std::optional<MemoryBudget::Share> share = options_.requests->TryTake(taken);
    if (!share.has_value()) {
      return MemoryFullError();
    }
    call->memory = std::move(*share);
  }
  call->client = ClientOf(*call);
  return absl::OkStatus();
}

std::string CallRunner::ClientOf(const Call& call) const {
  if (options_.tokens != nullptr) {
    return std::string(MetadataValue(*call.context, "authorization"));
  }
  // "ipv4:1.2.3.4:567", "ipv6:%5B::1%5D:567", "unix:PATH"
  const std::string& peer = call.record.peer;
  return absl::StartsWith(peer, "ip") ? peer.substr(0, peer.rfind(':')) : peer;
}

absl::Status CallRunner::Guarded(absl::FunctionRef<absl::Status()> step) const noexcept {
  // Telling of an exception may throw, too.
  return WithoutExceptions([&]() -> absl::Status {
    std::string what;
    try {
      absl::Status status = step();
      const bool of_machine =
          status.code() == absl::StatusCode::kInternal &&
          (IsOutOfMemory(status.message()) || IsPersistentDeviceError(status.message()));
      if (!of_machine) {
        return status;
      }
      what = std::string(status.message());  // what a search's piece threw
    } catch (const std::bad_alloc&) {
      what = "out of memory";
    } catch (const std::exception& exception) {  // includes c10::Error
      what = exception.what();
    } catch (...) {
      what = "an exception of unknown type";
    }
    options_.on_exception(what);
    if (IsOutOfMemory(what)) {
      spdlog::error("out of memory: {}", what);
      return absl::ResourceExhaustedError("the server has too little memory for this request");
    }
    return absl::InternalError(what);
  });
}

void CallRunner::Start(const std::shared_ptr<Call>& call,
                       absl::FunctionRef<absl::StatusOr<Effort>()> prepare) noexcept {
  Effort effort = Effort::kCheap;
  const absl::Status status = Guarded([&]() -> absl::Status {
    STYLEX_RETURN_IF_ERROR(Admit(call.get()));
    STYLEX_ASSIGN_OR_RETURN(effort, prepare());
    return effort == Effort::kCheap ? absl::OkStatus() : Queue(call, effort);
  });
  if (!status.ok()) {
    Finish(call, status);
  } else if (effort == Effort::kCheap) {
    Execute(call);
  }
}

absl::Status CallRunner::Queue(const std::shared_ptr<Call>& call, Effort effort) {
  WorkerPool* const pool = effort == Effort::kBulk          ? pools_.bulk
                           : effort == Effort::kExplanation ? pools_.explanation
                                                            : pools_.interactive;
  // The durations of searches vary too much for an estimate.
  const absl::Duration ahead =
      effort == Effort::kInteractive ? pool->EstimatedWait() : absl::ZeroDuration();
  if (clock_->Now() + ahead > call->cancellation.deadline()) {
    return DeadlineTooShortError(ahead);
  }
  Job job = {.run = [this, call] { Execute(call); },
             .wanted = [call] { return !call->cancellation.stopped(); },
             .drop = [this, call] { Drop(call); },
             .client = call->client};
  if (pool->Submit(std::move(job))) {
    return absl::OkStatus();
  }
  return refusing_ ? DrainingError() : QueueFullError();
}

void CallRunner::Drop(const std::shared_ptr<Call>& call) const noexcept {
  Finish(call, Guarded([&] {
           call->record.queued = clock_->Now() - call->start;
           const absl::Status why = call->cancellation.status();
           return why.ok() ? DrainingError() : why;
         }));
}

void CallRunner::Execute(const std::shared_ptr<Call>& call) const noexcept {
  Finish(call, Guarded([&] { return Compute(call.get()); }));
}

absl::Status CallRunner::Compute(Call* call) const {
  DeviceScheduler::TakeUsageOfThisThread();
  const absl::Duration waited = clock_->Now() - call->start;
  const Cancellation::Scope scope(&call->cancellation);
  absl::Status status = Guarded(call->run);
  if (absl::IsCancelled(status)) {
    // The work only knows that it was cancelled; the call knows why.
    const absl::Status why = call->cancellation.status();
    status = why.ok() ? status : why;
  }
  const DeviceScheduler::Usage usage = DeviceScheduler::TakeUsageOfThisThread();
  call->record.queued = waited + usage.waited;
  call->record.computed = usage.computed;
  return status;
}

grpc::Status CallRunner::Report(Call* call, const absl::Status& status) const {
  CallRecord& record = call->record;
  record.status = status;
  record.reason = ReasonOfError(status);
  record.response_bytes = call->response_bytes();
  record.total = clock_->Now() - call->start;
  if (options_.auditor != nullptr && !options_.auditor->Record(record).ok()) {
    record.status = AuditError();
    record.reason = ReasonOfError(record.status);
  }
  for (CallObserver* observer : options_.observers) {
    try {
      observer->OnFinished(record);
    } catch (const std::exception&) {
      // One that has no memory must cost neither the others nor the call.
    }
  }
  if (const std::optional<absl::Duration> delay = RetryDelay(record.status)) {
    call->context->AddTrailingMetadata("grpc-retry-pushback-ms",
                                       absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
  return ToGrpcStatus(record.status, record.request_id);
}

void CallRunner::Finish(const std::shared_ptr<Call>& call,
                        const absl::Status& status) const noexcept {
  grpc::Status told = NoMemoryAtAll();
  try {
    told = Report(call.get(), status);
  } catch (const std::exception&) {
  }
  const auto finish = std::exchange(call->finish, nullptr);
  call->run = nullptr;
  call->response_bytes = nullptr;
  call->memory = {};
  finish(told);
}

}  // namespace stylex
