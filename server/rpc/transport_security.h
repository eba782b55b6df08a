// Transport security: none, TLS, or TLS with client certificates.
#ifndef STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
#define STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace stylex {

// PEM files. Without `certificate` there is no TLS. With `client_ca`, clients need a certificate
// signed by it.
struct TlsFiles {
  std::string certificate;  // the chain, starting with the server's
  std::string key;
  std::string client_ca;

  // Whether connections are encrypted.
  bool enabled() const { return !certificate.empty(); }
};

// The files are reread every few seconds, and new connections use their current content.
// INVALID_ARGUMENT, naming the file, if one is missing or malformed, or if key and certificate do
// not match.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
