// Transport security: none, TLS, or TLS with client certificates.
#ifndef STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
#define STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"

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

// When a client connects, the files are checked for changes, at most once per second, and their
// new content is used. Files that do not fit together, such as a new key beside the old
// certificate, or cannot be read leave the old pair in force; the log says so, and warns of a
// certificate that has expired or soon will. An error, naming the file, if one is missing or
// malformed now, or if key and certificate do not match. `clock` must outlive the result.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files, const Clock* clock);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
