#include "client/call.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/wrappers.pb.h>

#include <chrono>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stylex {
namespace {

// Large enough for every message that a server can be configured to send.
constexpr int kMaxReceiveBytes = 64 << 20;

constexpr char kServiceConfig[] = R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{"service": "stylex.v1.ExplanationService"}],
    "retryPolicy": {
      "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]}}],
  "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}})";

}  // namespace

std::unique_ptr<v1::ExplanationService::Stub> Connect(const ConnectionOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  return v1::ExplanationService::NewStub(
      grpc::CreateCustomChannel(options.server, grpc::InsecureChannelCredentials(), arguments));
}

void SetDeadline(const ConnectionOptions& options, double default_seconds,
                 grpc::ClientContext* context) {
  const double seconds = options.timeout_seconds > 0 ? options.timeout_seconds : default_seconds;
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds)));
}

absl::Status ToStatus(const grpc::Status& status) {
  if (status.ok()) {
    return absl::OkStatus();
  }
  std::string message = status.error_message();
  google::rpc::Status details;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : details.details()) {
      google::rpc::BadRequest bad_request;
      if (detail.UnpackTo(&bad_request)) {
        for (const auto& violation : bad_request.field_violations()) {
          const std::string text = absl::StrCat(violation.field(), ": ", violation.description());
          if (message.find(violation.description()) == std::string::npos) {
            absl::StrAppend(&message, "; ", text);
          }
        }
      }
    }
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), message);
}

void PrintJson(const google::protobuf::Message& message, const std::string& path) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!path.empty()) {
    google::protobuf::StringValue value;
    value.set_value(path);
    std::string quoted;
    (void)google::protobuf::util::MessageToJsonString(value, &quoted);
    json.replace(0, 1, absl::StrCat("{\"path\":", quoted, json == "{}" ? "" : ","));
  }
  std::printf("%s\n", json.c_str());
}

}  // namespace stylex
