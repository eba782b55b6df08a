// The connection to a server, and readable errors.
#ifndef STYLEX_CLIENT_CALL_H_
#define STYLEX_CLIENT_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stylex/v1/explanation.grpc.pb.h"

namespace stylex {

struct ConnectionOptions {
  std::string server = "localhost:50051";
  std::string model;                     // NAME or NAME/VERSION; empty: the server's only one
  double timeout_seconds = 0;            // per call; 0: 60, searches 600
  std::string tls_ca;                    // PEM; with it, or a certificate of its own, TLS is used
  std::string tls_certificate, tls_key;  // PEM, of the client, for mutual TLS
  std::string token_file;                // its first line is the bearer token
  bool json = false;                     // prints only answers on stdout, as JSON Lines
};

// A channel with the service config that the docs recommend: round robin, retries of UNAVAILABLE.
// With a token each of its calls carries it. An error names a file that cannot be read or used.
absl::StatusOr<std::unique_ptr<v1::ExplanationService::Stub>> Connect(
    const ConnectionOptions& options);

// Sets a call's deadline.
void SetDeadline(const ConnectionOptions& options, double default_seconds,
                 grpc::ClientContext* context);

// OK, or the server's code and message followed by every violation that its details name.
absl::Status ToStatus(const grpc::Status& status);

// The same status, with what to try where the connection failed in the way of a wrong flag.
absl::Status WithAdvice(const ConnectionOptions& options, absl::Status status);

// Calls one unary method.
template <typename Request, typename Response>
absl::Status Call(const ConnectionOptions& options, v1::ExplanationService::Stub* stub,
                  grpc::Status (v1::ExplanationService::Stub::*method)(grpc::ClientContext*,
                                                                       const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  SetDeadline(options, 60, &context);
  return WithAdvice(options, ToStatus((stub->*method)(&context, request, response)));
}

// A model's description. `model` as in ConnectionOptions.
absl::StatusOr<v1::Model> DescribeModel(const ConnectionOptions& options,
                                        v1::ExplanationService::Stub* stub,
                                        const std::string& model);

// A message as one line of JSON, without an end of line. A path, if given, becomes the document's
// first member, "path".
std::string ToJson(const google::protobuf::Message& message, const std::string& path = "");
// A document of ToJson without path, with one.
std::string WithPath(std::string json, const std::string& path);
// Prints the same on stdout, so that commands with several answers print JSON Lines.
void PrintJson(const google::protobuf::Message& message, const std::string& path = "");

}  // namespace stylex

#endif  // STYLEX_CLIENT_CALL_H_
