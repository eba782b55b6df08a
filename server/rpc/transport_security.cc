#include "server/rpc/transport_security.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

constexpr unsigned kRefreshSeconds = 5;

struct FileCloser {
  void operator()(FILE* file) const { fclose(file); }
};
struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

// Parses a PEM file with `read`; an error names the file.
template <class Object, class Deleter, class Read>
absl::StatusOr<std::unique_ptr<Object, Deleter>> Load(const std::string& path, const char* what,
                                                      const Read& read) {
  const std::unique_ptr<FILE, FileCloser> file(fopen(path.c_str(), "re"));
  std::unique_ptr<Object, Deleter> object(
      file == nullptr ? nullptr : read(file.get(), nullptr, nullptr, nullptr));
  if (object == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is missing, not readable, or no ", what, " in PEM format"));
  }
  return object;
}

absl::Status Check(const TlsFiles& files) {
  STYLEX_ASSIGN_OR_RETURN(
      const auto certificate,
      (Load<X509, CertificateDeleter>(files.certificate, "certificate", PEM_read_X509)));
  STYLEX_ASSIGN_OR_RETURN(
      const auto key, (Load<EVP_PKEY, KeyDeleter>(files.key, "private key", PEM_read_PrivateKey)));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.key, ": is not the private key of the certificate in ", files.certificate));
  }
  if (!files.client_ca.empty()) {
    return Load<X509, CertificateDeleter>(files.client_ca, "certificate", PEM_read_X509).status();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files) {
  if (!files.enabled()) {
    return grpc::InsecureServerCredentials();
  }
  STYLEX_RETURN_IF_ERROR(Check(files));
  namespace tls = grpc::experimental;
  const bool mutual = !files.client_ca.empty();
  const auto provider = mutual ? std::make_shared<tls::FileWatcherCertificateProvider>(
                                     files.key, files.certificate, files.client_ca, kRefreshSeconds)
                               : std::make_shared<tls::FileWatcherCertificateProvider>(
                                     files.key, files.certificate, kRefreshSeconds);
  tls::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (mutual) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

}  // namespace stylex
