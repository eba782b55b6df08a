#include "server/rpc/transport_security.h"

#include <grpc/grpc_security.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <time.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/exceptions.h"
#include "base/file.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

constexpr absl::Duration kReloadInterval = absl::Seconds(1);
constexpr absl::Duration kWarnInterval = absl::Hours(1);
constexpr absl::Duration kSoon = absl::Hours(24 * 7);
constexpr int64_t kMaxPemBytes = 1 << 20;

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

// Parses the PEM text of the file `path` with `read`; an error names the file.
template <class Object, class Deleter, class Read>
absl::StatusOr<std::unique_ptr<Object, Deleter>> Parse(const std::string& text,
                                                       const std::string& path, const char* what,
                                                       const Read& read) {
  const std::unique_ptr<BIO, BioDeleter> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::unique_ptr<Object, Deleter> object(
      bio == nullptr ? nullptr : read(bio.get(), nullptr, nullptr, nullptr));
  if (object == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no ", what, " in PEM format"));
  }
  return object;
}

// Changes whenever one of the files does.
std::string SignatureOf(const TlsFiles& files) {
  std::string signature;
  for (const std::string& path : {files.certificate, files.key, files.client_ca}) {
    struct stat info = {};
    if (!path.empty() && stat(path.c_str(), &info) == 0) {
      absl::StrAppend(&signature, info.st_ino, ":", info.st_size, ":", info.st_mtim.tv_sec, ".",
                      info.st_mtim.tv_nsec, ";");
    }
  }
  return signature;
}

absl::Time ExpiryOf(const X509& certificate) {
  tm date = {};
  return ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &date) == 1
             ? absl::FromTM(date, absl::UTCTimeZone())
             : absl::InfiniteFuture();
}

absl::StatusOr<TlsPair> Read(const TlsFiles& files) {
  TlsPair pair;
  STYLEX_ASSIGN_OR_RETURN(pair.certificate, ReadFile(files.certificate, kMaxPemBytes));
  STYLEX_ASSIGN_OR_RETURN(pair.key, ReadFile(files.key, kMaxPemBytes));
  STYLEX_ASSIGN_OR_RETURN(const auto certificate,
                          (Parse<X509, CertificateDeleter>(pair.certificate, files.certificate,
                                                           "certificate", PEM_read_bio_X509)));
  STYLEX_ASSIGN_OR_RETURN(
      const auto key,
      (Parse<EVP_PKEY, KeyDeleter>(pair.key, files.key, "private key", PEM_read_bio_PrivateKey)));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.key, ": is not the private key of the certificate in ", files.certificate));
  }
  pair.expiry = ExpiryOf(*certificate);
  if (!files.client_ca.empty()) {
    STYLEX_ASSIGN_OR_RETURN(pair.client_ca, ReadFile(files.client_ca, kMaxPemBytes));
    STYLEX_RETURN_IF_ERROR((Parse<X509, CertificateDeleter>(pair.client_ca, files.client_ca,
                                                            "certificate", PEM_read_bio_X509))
                               .status());
  }
  return pair;
}

// gRPC's C++ interface has credentials whose files are watched, too, but not ones that check that
// key and certificate belong together before they take effect.
class WatchedCredentials : public grpc::ServerCredentials {
 public:
  explicit WatchedCredentials(std::shared_ptr<TlsSource> source)
      : source_(std::move(source)),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                source_->files().client_ca.empty()
                    ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                    : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
                [](void* self, grpc_ssl_server_certificate_config** config) {
                  return static_cast<WatchedCredentials*>(self)->Fetch(config);
                },
                this))) {}
  ~WatchedCredentials() override { grpc_server_credentials_release(credentials_); }

  // Tokens are checked by CallRunner.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }
  // gRPC asks before each handshake, and takes over `*config`.
  grpc_ssl_certificate_config_reload_status Fetch(
      grpc_ssl_server_certificate_config** config) noexcept {
    auto fetched = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;  // gRPC goes on with what it has
    WithoutExceptions([&] {
      fetched = FetchNow(config);
      return absl::OkStatus();
    }).IgnoreError();
    return fetched;
  }
  grpc_ssl_certificate_config_reload_status FetchNow(grpc_ssl_server_certificate_config** config) {
    const std::shared_ptr<const TlsPair> pair = source_->Current();
    const MutexLock lock(&mutex_);
    if (pair == fetched_) {
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    const grpc_ssl_pem_key_cert_pair pem = {pair->key.c_str(), pair->certificate.c_str()};
    // gRPC insists on a CA, also where it asks no client for a certificate.
    const std::string& ca = pair->client_ca.empty() ? pair->certificate : pair->client_ca;
    *config = grpc_ssl_server_certificate_config_create(ca.c_str(), &pem, 1);
    fetched_ = pair;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const std::shared_ptr<TlsSource> source_;
  Mutex mutex_;
  std::shared_ptr<const TlsPair> fetched_ ABSL_GUARDED_BY(mutex_);  // gRPC has it
  grpc_server_credentials* const credentials_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<TlsSource>> TlsSource::Open(const TlsFiles& files,
                                                           const Clock* clock) {
  STYLEX_ASSIGN_OR_RETURN(TlsPair pair, Read(files));
  return std::shared_ptr<TlsSource>(new TlsSource(files, std::move(pair), clock));
}

TlsSource::TlsSource(TlsFiles files, TlsPair pair, const Clock* clock)
    : files_(std::move(files)),
      clock_(*clock),
      pair_(std::make_shared<const TlsPair>(std::move(pair))),
      signature_(SignatureOf(files_)),
      looked_at_(clock->Now()) {
  const MutexLock lock(&mutex_);
  WarnOfExpiry();
}

std::shared_ptr<const TlsPair> TlsSource::Current() {
  const MutexLock lock(&mutex_);
  const absl::Time now = clock_.Now();
  if (now - looked_at_ >= kReloadInterval) {
    looked_at_ = now;
    Refresh();
  }
  if (now - warned_at_ >= kWarnInterval) {
    WarnOfExpiry();
  }
  return pair_;
}

void TlsSource::Refresh() {
  const std::string signature = SignatureOf(files_);
  if (signature == signature_) {
    return;
  }
  absl::StatusOr<TlsPair> pair = Read(files_);
  signature_ = signature;  // read, good or bad
  if (!pair.ok()) {
    spdlog::error("the old TLS certificate stays: {}", std::string(pair.status().message()));
    return;
  }
  spdlog::info("the TLS certificate in {} is in force", files_.certificate);
  pair_ = std::make_shared<const TlsPair>(*std::move(pair));
  WarnOfExpiry();
}

void TlsSource::WarnOfExpiry() {
  warned_at_ = clock_.Now();
  const absl::Duration left = pair_->expiry - absl::Now();
  const std::string date =
      absl::FormatTime("%Y-%m-%d %H:%M UTC", pair_->expiry, absl::UTCTimeZone());
  if (left <= absl::ZeroDuration()) {
    spdlog::error("the TLS certificate in {} expired on {}: clients refuse it", files_.certificate,
                  date);
  } else if (left < kSoon) {
    spdlog::warn("the TLS certificate in {} expires on {}", files_.certificate, date);
  }
}

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(std::shared_ptr<TlsSource> source) {
  if (source == nullptr) {
    return grpc::InsecureServerCredentials();
  }
  return std::make_shared<WatchedCredentials>(std::move(source));
}

}  // namespace stylex
