#include "client/call.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/support/client_interceptor.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
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

constexpr int64_t kMaxPemBytes = 1 << 20;
constexpr char kCertificate[] = "CERTIFICATE";

// `what`: "CERTIFICATE" or "PRIVATE KEY", which the file must have.
absl::StatusOr<std::string> ReadPem(const std::string& path, const std::string& what) {
  STYLEX_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxPemBytes));
  if (!absl::StrContains(text, "-----BEGIN")) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no file in PEM format"));
  }
  if (!absl::StrContains(text, absl::StrCat(what, "-----"))) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds no ", absl::AsciiStrToLower(what), " in PEM format"));
  }
  return text;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(
    const ConnectionOptions& options) {
  if (options.tls_ca.empty() && options.tls_certificate.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions tls;
  if (!options.tls_ca.empty()) {  // else the system's
    STYLEX_ASSIGN_OR_RETURN(tls.pem_root_certs, ReadPem(options.tls_ca, kCertificate));
  }
  if (!options.tls_certificate.empty()) {
    STYLEX_ASSIGN_OR_RETURN(tls.pem_cert_chain, ReadPem(options.tls_certificate, kCertificate));
    STYLEX_ASSIGN_OR_RETURN(tls.pem_private_key, ReadPem(options.tls_key, "PRIVATE KEY"));
  }
  return grpc::SslCredentials(tls);
}

// The first line that is no comment, as in the server's file.
absl::StatusOr<std::string> ReadToken(const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxPemBytes));
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view token = absl::StripAsciiWhitespace(line);
    const bool printable = std::all_of(token.begin(), token.end(), [](char c) {
      return absl::ascii_isprint(static_cast<unsigned char>(c));
    });
    if (!token.empty() && token.front() != '#') {
      return printable ? absl::StatusOr<std::string>(token)
                       : absl::InvalidArgumentError(absl::StrCat(
                             path, ": its token has characters that are not printable ASCII"));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(path, ": holds no token"));
}

// Adds the token to each call. (gRPC's own call credentials refuse to work without TLS, where a
// proxy beside the client or the server may provide it.)
class TokenInterceptor : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(const std::string& token) : token_(token) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", "Bearer " + token_);
    }
    methods->Proceed();
  }

 private:
  const std::string token_;
};

class TokenAdder : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenAdder(std::string token) : token_(std::move(token)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenInterceptor(token_);
  }

 private:
  const std::string token_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<v1::ExplanationService::Stub>> Connect(
    const ConnectionOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  STYLEX_ASSIGN_OR_RETURN(const auto credentials, CredentialsOf(options));
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> adders;
  if (!options.token_file.empty()) {
    STYLEX_ASSIGN_OR_RETURN(std::string token, ReadToken(options.token_file));
    adders.push_back(std::make_unique<TokenAdder>(std::move(token)));
  }
  return v1::ExplanationService::NewStub(grpc::experimental::CreateCustomChannelWithInterceptors(
      options.server, credentials, arguments, std::move(adders)));
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

absl::Status WithAdvice(const ConnectionOptions& options, absl::Status status) {
  if (!absl::IsUnavailable(status)) {
    return status;
  }
  const bool tls = !options.tls_ca.empty() || !options.tls_certificate.empty();
  std::string advice;
  if (!tls && status.message() == "Socket closed") {
    advice = " (does the server want TLS? --tls-ca turns it on)";
  } else if (tls && (absl::StrContains(status.message(), "empty address list") ||
                     absl::StrContains(status.message(), "andshake"))) {
    advice =
        " (TLS failed: is the server's certificate signed by --tls-ca and of this name, do "
        "--tls-cert and --tls-key belong together, and does the server speak TLS?)";
  }
  return absl::Status(status.code(), absl::StrCat(status.message(), advice));
}

absl::StatusOr<v1::Model> DescribeModel(const ConnectionOptions& options,
                                        v1::ExplanationService::Stub* stub,
                                        const std::string& model) {
  v1::GetModelRequest request;
  request.set_model(model);
  v1::GetModelResponse response;
  STYLEX_RETURN_IF_ERROR(
      Call(options, stub, &v1::ExplanationService::Stub::GetModel, request, &response));
  return std::move(*response.mutable_model());
}

std::string ToJson(const google::protobuf::Message& message, const std::string& path) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return path.empty() ? json : WithPath(std::move(json), path);
}

std::string WithPath(std::string json, const std::string& path) {
  google::protobuf::StringValue value;
  value.set_value(path);
  std::string quoted;
  (void)google::protobuf::util::MessageToJsonString(value, &quoted);
  json.replace(0, 1, absl::StrCat("{\"path\":", quoted, json == "{}" ? "" : ","));
  return json;
}

void PrintJson(const google::protobuf::Message& message, const std::string& path) {
  std::printf("%s\n", ToJson(message, path).c_str());
}

}  // namespace stylex
