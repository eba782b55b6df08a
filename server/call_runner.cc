#include "server/call_runner.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr size_t kMaxRequestIdBytes = 128;

std::string RandomRequestId() {
  static thread_local absl::BitGen generator;
  return absl::StrCat(absl::Hex(absl::Uniform<uint64_t>(generator), absl::kZeroPad16));
}

// The client's own id, if it is fit for a line of the log.
std::string RequestId(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find(kRequestIdKey);
  if (found == context.client_metadata().end()) {
    return RandomRequestId();
  }
  const absl::string_view id(found->second.data(), found->second.size());
  const bool printable = std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  return !id.empty() && id.size() <= kMaxRequestIdBytes && printable ? std::string(id)
                                                                     : RandomRequestId();
}

absl::Time Deadline(const grpc::CallbackServerContext& context, absl::Time now,
                    absl::Duration default_deadline) {
  const absl::Time deadline = absl::FromChrono(context.deadline());
  // A client without a deadline sends none, which gRPC shows as one in the far future.
  return deadline > now + absl::Hours(24 * 365) ? now + default_deadline : deadline;
}

bool IsOutOfMemory(absl::string_view what) {
  return absl::StrContains(what, "out of memory") ||
         absl::StrContains(what, "can't allocate memory") ||
         absl::StrContains(what, "not enough memory");
}

}  // namespace

CallRunner::CallRunner(Options options, const Pools& pools, const Clock* clock)
    : options_(std::move(options)), pools_(pools), clock_(clock) {}

std::shared_ptr<CallRunner::Call> CallRunner::MakeCall(const char* method,
                                                       grpc::CallbackServerContext* context,
                                                       absl::Duration default_deadline) const {
  const absl::Time now = clock_->Now();
  auto call = std::make_shared<Call>(method, context, clock_,
                                     Deadline(*context, now, default_deadline), &abandon_all_);
  call->start = now;
  call->request_id = RequestId(*context);
  context->AddInitialMetadata(kRequestIdKey, call->request_id);
  return call;
}

absl::Status CallRunner::Guarded(const std::function<absl::Status()>& step) const {
  std::string what;
  try {
    return step();
  } catch (const std::bad_alloc&) {
    what = "out of memory";
  } catch (const std::exception& exception) {  // c10::Error is one
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
}

void CallRunner::Start(const std::shared_ptr<Call>& call,
                       const std::function<absl::StatusOr<Effort>()>& prepare) {
  if (refusing_) {
    Finish(call, DrainingError());
    return;
  }
  Effort effort = Effort::kCheap;
  const absl::Status prepared = Guarded([&]() -> absl::Status {
    const absl::StatusOr<Effort> result = prepare();
    effort = result.value_or(Effort::kCheap);
    return result.status();
  });
  if (!prepared.ok()) {
    Finish(call, prepared);
  } else if (effort == Effort::kCheap) {
    Execute(call);
  } else {
    Queue(call, effort);
  }
}

void CallRunner::Queue(const std::shared_ptr<Call>& call, Effort effort) {
  WorkerPool* const pool = effort == Effort::kBulk ? pools_.bulk : pools_.interactive;
  if (!pool->Submit({.run = [this, call] { Execute(call); },
                     .wanted = [call] { return !call->cancellation.stopped(); },
                     .drop =
                         [this, call] {
                           const absl::Status why = call->cancellation.status();
                           Finish(call, why.ok() ? DrainingError() : why);
                         }})) {
    Finish(call, refusing_ ? DrainingError() : QueueFullError());
  }
}

void CallRunner::Execute(const std::shared_ptr<Call>& call) const {
  absl::Status status = Guarded(call->run);
  if (absl::IsCancelled(status)) {
    // The work only knows that it was told to stop; the call knows why.
    const absl::Status why = call->cancellation.status();
    status = why.ok() ? status : why;
  }
  Finish(call, status);
}

void CallRunner::Finish(const std::shared_ptr<Call>& call, const absl::Status& status) const {
  const grpc::Status told = ToGrpcStatus(status, call->request_id);
  const double elapsed_ms = absl::ToDoubleMilliseconds(clock_->Now() - call->start);
  const std::string line = absl::StrCat(call->method, " id=", call->request_id,
                                        " code=", absl::StatusCodeToString(status.code()),
                                        " ms=", absl::SixDigits(elapsed_ms));
  if (IsServerFault(status)) {
    spdlog::error("{} cause={}", line, std::string(status.message()));
  } else if (!status.ok()) {
    spdlog::info("{} message={}", line, Quoted(status.message(), kMaxMessageBytes));
  } else {
    spdlog::info("{}", line);
  }
  if (const std::optional<absl::Duration> delay = RetryDelay(status)) {
    call->context->AddTrailingMetadata("grpc-retry-pushback-ms",
                                       absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
  const auto finish = std::exchange(call->finish, nullptr);
  call->run = nullptr;
  finish(told);
}

}  // namespace stylex
