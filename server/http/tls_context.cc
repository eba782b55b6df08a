#include "server/http/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreePrivateKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
using Certificate = std::unique_ptr<X509, FreeX509>;

Bio Open(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate Next(BIO* bio) {
  return Certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
}

bool UseChain(const std::string& text, SSL_CTX* context) {
  const Bio bio = Open(text);
  const Certificate own = Next(bio.get());
  if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1) {
    return false;
  }
  for (Certificate above = Next(bio.get()); above != nullptr; above = Next(bio.get())) {
    if (SSL_CTX_add_extra_chain_cert(context, above.get()) != 1) {
      return false;
    }
    (void)above.release();  // the context's now
  }
  return true;
}

bool UseKey(const std::string& text, SSL_CTX* context) {
  const std::unique_ptr<EVP_PKEY, FreePrivateKey> key(
      PEM_read_bio_PrivateKey(Open(text).get(), nullptr, nullptr, nullptr));
  return key != nullptr && SSL_CTX_use_PrivateKey(context, key.get()) == 1 &&
         SSL_CTX_check_private_key(context) == 1;
}

bool RequireClients(const std::string& text, SSL_CTX* context) {
  const Bio bio = Open(text);
  int count = 0;
  for (Certificate ca = Next(bio.get()); ca != nullptr; ca = Next(bio.get())) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get()) != 1 ||
        SSL_CTX_add_client_CA(context, ca.get()) != 1) {
      return false;
    }
    ++count;
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return count > 0;
}

}  // namespace

absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeTlsContext(const TlsTexts& texts) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) {
    return absl::ResourceExhaustedError("there is no memory for TLS");
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const char* wrong = !UseChain(texts.certificate, context.get()) ? "certificate"
                      : !UseKey(texts.key, context.get())         ? "private key"
                      : !texts.client_ca.empty() && !RequireClients(texts.client_ca, context.get())
                          ? "certificate of the clients' issuer"
                          : nullptr;
  ERR_clear_error();
  if (wrong != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("TLS cannot use the ", wrong));
  }
  return context;
}

}  // namespace stylex
