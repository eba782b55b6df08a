// TLS for HttpServer's connections.
#ifndef STYLEX_SERVER_HTTP_TLS_CONTEXT_H_
#define STYLEX_SERVER_HTTP_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace stylex {

// PEM texts. With `client_ca`, clients need a certificate signed by it.
struct TlsTexts {
  std::string certificate;  // the chain, starting with the server's
  std::string key;
  std::string client_ca;
};

// TLS 1.2 or later, without resumption of sessions. INVALID_ARGUMENT where a text is malformed or
// key and certificate do not match.
absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeTlsContext(const TlsTexts& texts);

}  // namespace stylex

#endif  // STYLEX_SERVER_HTTP_TLS_CONTEXT_H_
