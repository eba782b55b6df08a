// Transport security: none, TLS, or TLS with client certificates.
#ifndef STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
#define STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

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

// The contents of the files, which belong together.
struct TlsPair {
  std::string certificate;
  std::string key;
  std::string client_ca;
  absl::Time expiry;
};

// What connections are to use: when one is made, the files are checked for changes, at most once
// per second, and their new content is used. Files that do not fit together, such as a new key
// beside the old certificate, or cannot be read leave the old pair in force; the log says so, and
// warns of a certificate that has expired or soon will. Thread-safe.
class TlsSource {
 public:
  // An error, naming the file, if one is missing or malformed now, or if key and certificate do not
  // match. `clock` must outlive the result.
  static absl::StatusOr<std::shared_ptr<TlsSource>> Open(const TlsFiles& files, const Clock* clock);

  // For a connection that is made now: another object once the files have changed.
  std::shared_ptr<const TlsPair> Current();
  const TlsFiles& files() const { return files_; }

 private:
  TlsSource(TlsFiles files, TlsPair pair, const Clock* clock);
  void Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WarnOfExpiry() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const TlsFiles files_;
  const Clock& clock_;
  Mutex mutex_;
  std::shared_ptr<const TlsPair> pair_ ABSL_GUARDED_BY(mutex_);
  std::string signature_ ABSL_GUARDED_BY(mutex_);  // of the files when last read
  absl::Time looked_at_ ABSL_GUARDED_BY(mutex_);
  absl::Time warned_at_ ABSL_GUARDED_BY(mutex_);
};

// Without a source (null) there is no TLS.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(std::shared_ptr<TlsSource> source);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_TRANSPORT_SECURITY_H_
