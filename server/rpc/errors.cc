#include "server/rpc/errors.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stylex {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com/";
constexpr size_t kMaxDescriptionBytes = 600;
constexpr size_t kMaxFieldBytes = 100;
constexpr size_t kMaxMetadataBytes = 400;

// Truncates at a character boundary, so that the result is UTF-8 if the text was.
std::string Cut(absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) {
    return std::string(text);
  }
  size_t end = max_bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return absl::StrCat(text.substr(0, end), "...");
}

template <class Message>
std::string TypeUrl() {
  return absl::StrCat(kTypePrefix, Message::descriptor()->full_name());
}

template <class Message>
void Attach(const Message& detail, absl::Status* status) {
  status->SetPayload(TypeUrl<Message>(), absl::Cord(detail.SerializeAsString()));
}

template <class Message>
std::optional<Message> Detail(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl<Message>());
  Message message;
  if (!payload.has_value() || !message.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return message;
}

void AttachInfo(absl::string_view reason, const ErrorMetadata& metadata, absl::Status* status) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kErrorDomain);
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[key] = Cut(value, kMaxMetadataBytes);
  }
  Attach(info, status);
}

google::rpc::BadRequest ToBadRequest(std::span<const Fault> faults) {
  google::rpc::BadRequest bad_request;
  for (const Fault& fault : faults) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(Cut(fault.field, kMaxFieldBytes));
    violation->set_description(Cut(fault.description, kMaxDescriptionBytes));
  }
  return bad_request;
}

// Keeps as many violations as fit into `budget` bytes; the last one tells the number of the others.
google::rpc::BadRequest Fit(const google::rpc::BadRequest& whole, size_t budget) {
  if (whole.ByteSizeLong() <= budget) {
    return whole;
  }
  constexpr size_t kLastViolation = 60;
  google::rpc::BadRequest part;
  const int total = whole.field_violations_size();
  for (const auto& violation : whole.field_violations()) {
    *part.add_field_violations() = violation;
    if (part.ByteSizeLong() + kLastViolation > budget) {
      part.mutable_field_violations()->RemoveLast();
      break;
    }
  }
  part.add_field_violations()->set_description(
      absl::StrCat("and ", total - (part.field_violations_size() - 1), " more faults"));
  return part;
}

template <class Message>
void PackIfPresent(const absl::Status& status, google::rpc::Status* out) {
  if (const std::optional<Message> detail = Detail<Message>(status)) {
    out->add_details()->PackFrom(*detail);
  }
}

absl::Status WithInfo(const absl::Status& status) {
  absl::Status result = status;
  if (!Detail<google::rpc::ErrorInfo>(status).has_value()) {
    AttachInfo(absl::StatusCodeToString(status.code()), {}, &result);
  }
  return result;
}

std::string SerializedDetails(const absl::Status& status) {
  google::rpc::Status out;
  out.set_code(static_cast<int>(status.code()));
  out.set_message(Cut(status.message(), kMaxMessageBytes));
  PackIfPresent<google::rpc::ErrorInfo>(status, &out);
  PackIfPresent<google::rpc::RetryInfo>(status, &out);
  PackIfPresent<google::rpc::ResourceInfo>(status, &out);
  PackIfPresent<google::rpc::PreconditionFailure>(status, &out);
  if (const auto bad_request = Detail<google::rpc::BadRequest>(status)) {
    constexpr size_t kEnvelope = 80;  // type URL and lengths of the Any
    const size_t used = out.ByteSizeLong() + kEnvelope;
    out.add_details()->PackFrom(
        Fit(*bad_request, used < kMaxDetailsBytes ? kMaxDetailsBytes - used : 0));
  }
  return out.SerializeAsString();
}

}  // namespace

absl::Status InvalidRequestError(std::span<const Fault> faults, const ErrorMetadata& metadata) {
  assert(!faults.empty());
  std::vector<std::string> lines;
  for (const Fault& fault : faults) {
    lines.push_back(absl::StrCat(fault.field, ": ", fault.description));
  }
  absl::Status status =
      absl::InvalidArgumentError(Cut(absl::StrJoin(lines, "; "), kMaxMessageBytes));
  ErrorMetadata all = metadata;
  all["field"] = faults.front().field;
  all["faults"] = absl::StrCat(faults.size());
  AttachInfo("INVALID_REQUEST", all, &status);
  Attach(ToBadRequest(faults), &status);
  return status;
}

absl::Status TooLargeError(const Fault& fault) {
  absl::Status status =
      absl::ResourceExhaustedError(absl::StrCat(fault.field, ": ", fault.description));
  AttachInfo("OVER_LIMIT", {{"field", fault.field}}, &status);
  Attach(ToBadRequest({&fault, 1}), &status);
  return status;
}

absl::Status ModelNotFoundError(absl::string_view asked, const std::vector<std::string>& known) {
  const std::string there_are =
      known.empty() ? "no models are loaded" : absl::StrCat("there are ", ListOf(known));
  absl::Status status =
      absl::NotFoundError(absl::StrCat("no model ", Quoted(asked), ": ", there_are));
  AttachInfo("MODEL_NOT_FOUND", {{"model", std::string(asked)}, {"models", ListOf(known)}},
             &status);
  google::rpc::ResourceInfo resource;
  resource.set_resource_type("model");
  resource.set_resource_name(Cut(asked, kMaxFieldBytes));
  resource.set_description(there_are);
  Attach(resource, &status);
  return status;
}

absl::Status PreconditionError(absl::string_view type, absl::string_view subject,
                               absl::string_view description) {
  absl::Status status =
      absl::FailedPreconditionError(absl::StrCat(Quoted(subject), ": ", description));
  AttachInfo(type, {{"subject", std::string(subject)}}, &status);
  google::rpc::PreconditionFailure failure;
  auto* violation = failure.add_violations();
  violation->set_type(std::string(type));
  violation->set_subject(Cut(subject, kMaxFieldBytes));
  violation->set_description(Cut(description, kMaxDescriptionBytes));
  Attach(failure, &status);
  return status;
}

absl::Status UnavailableError(absl::string_view reason, absl::string_view message,
                              absl::Duration retry_delay) {
  absl::Status status = absl::UnavailableError(message);
  AttachInfo(reason, {}, &status);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(retry_delay));
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(retry_delay % absl::Seconds(1))));
  Attach(retry, &status);
  return status;
}

absl::Status QueueFullError() {
  return UnavailableError("QUEUE_FULL", "the server's queue is full; try again", absl::Seconds(1));
}

absl::Status DrainingError() {
  return UnavailableError("DRAINING", "the server is shutting down; ask another one",
                          absl::Seconds(1));
}

absl::Status DeadlineTooShortError(absl::Duration estimated_wait) {
  const int64_t ms = absl::ToInt64Milliseconds(estimated_wait);
  absl::Status status = absl::DeadlineExceededError(absl::StrCat(
      "the calls ahead take about ", ms, " ms, longer than the deadline: the call was not queued"));
  AttachInfo(kDeadlineTooShort, {{"estimated_wait_ms", absl::StrCat(ms)}}, &status);
  return status;
}

absl::Status UnauthenticatedError() {
  absl::Status status = absl::UnauthenticatedError(
      "the call needs metadata authorization: Bearer TOKEN with a token that the server knows");
  AttachInfo("UNAUTHENTICATED", {}, &status);
  return status;
}

absl::Status MemoryFullError() {
  return UnavailableError("MEMORY_FULL",
                          "the requests that the server holds take all the memory that they may; "
                          "try again",
                          absl::Seconds(1));
}

absl::Status AuditError() {
  return UnavailableError("AUDIT_LOG",
                          "the server cannot record calls now; try again or ask another",
                          absl::Seconds(5));
}

absl::Status MalformedRequestError() {
  absl::Status status = absl::InvalidArgumentError(
      "the request is no valid message: its bytes are not its method's protobuf message, a text in "
      "it is not UTF-8, or the call ended before its message was complete");
  AttachInfo("MALFORMED_REQUEST", {}, &status);
  return status;
}

absl::Status MessageTooLargeError(size_t bytes, size_t limit) {
  absl::Status status = absl::ResourceExhaustedError(
      absl::StrCat("the request has ", bytes, " bytes; at most ", limit, " are allowed"));
  AttachInfo("MESSAGE_TOO_LARGE", {{"bytes", absl::StrCat(bytes)}, {"limit", absl::StrCat(limit)}},
             &status);
  return status;
}

std::string ReasonOfError(const absl::Status& status) {
  if (status.ok()) {
    return "";
  }
  const auto info = Detail<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : absl::StatusCodeToString(status.code());
}

bool IsOutOfMemory(absl::string_view what) {
  return absl::StrContains(what, "out of memory") ||
         absl::StrContains(what, "can't allocate memory") ||
         absl::StrContains(what, "not enough memory");
}

bool IsPersistentDeviceError(absl::string_view what) {
  return absl::StrContains(what, "CUDA error") && !IsOutOfMemory(what);
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  const auto retry = Detail<google::rpc::RetryInfo>(status);
  if (!retry.has_value()) {
    return std::nullopt;
  }
  return absl::Seconds(retry->retry_delay().seconds()) +
         absl::Nanoseconds(retry->retry_delay().nanos());
}

std::string Quoted(absl::string_view text, size_t max_bytes) {
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(Cut(text, max_bytes)), "'");
}

std::string ListOf(const std::vector<std::string>& names, size_t max_bytes) {
  std::string list;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string quoted = Quoted(names[i]);
    if (i > 0 && list.size() + quoted.size() > max_bytes) {
      absl::StrAppend(&list, " and ", names.size() - i, " more");
      break;
    }
    absl::StrAppend(&list, i > 0 ? ", " : "", quoted);
  }
  return list;
}

bool IsServerFault(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

grpc::Status ToGrpcStatus(const absl::Status& status, absl::string_view request_id) {
  if (status.ok()) {
    return grpc::Status::OK;
  }
  absl::Status told = status;
  if (IsServerFault(status)) {
    told = absl::InternalError(
        absl::StrCat("the server failed; its log has the cause under request id ", request_id));
    AttachInfo("INTERNAL", {{"request_id", std::string(request_id)}}, &told);
  }
  told = WithInfo(told);
  return {static_cast<grpc::StatusCode>(told.code()), Cut(told.message(), kMaxMessageBytes),
          SerializedDetails(told)};
}

}  // namespace stylex
