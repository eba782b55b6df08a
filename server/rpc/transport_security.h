// What protects the connection: nothing, TLS, or TLS with client certificates.
#ifndef STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
#define STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace stylex {

// PEM files. No certificate: no TLS. With `client_ca`, clients need a certificate that it signed.
struct TlsFiles {
  std::string certificate;  // the chain, the server's own first
  std::string key;
  std::string client_ca;

  bool enabled() const { return !certificate.empty(); }
};

// The files are read again every few seconds: new connections use what they hold then.
// INVALID_ARGUMENT, naming the file, when one is missing or broken, or key and certificate do not
// belong together.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
