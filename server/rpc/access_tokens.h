// The bearer tokens that clients may use, from a file: one per line, '#' starts a comment.
//
// When a call arrives, the file is checked for changes, at most once per second; changes take
// effect at once. A file that became unreadable or empty leaves the old tokens in force, so that a
// mistake neither locks everybody out nor lets everybody in. Only digests are stored, and all are
// compared in constant time. Thread-safe.
#ifndef STYLEX_SERVER_RPC_ACCESS_TOKENS_H_
#define STYLEX_SERVER_RPC_ACCESS_TOKENS_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace stylex {

class AccessTokens {
 public:
  // INVALID_ARGUMENT when the file cannot be read or contains no token. `clock` must outlive this.
  static absl::StatusOr<std::unique_ptr<AccessTokens>> Open(const std::string& path,
                                                            const Clock* clock);

  // Whether the value of an `authorization` header is "Bearer " and one of the tokens.
  bool Allows(absl::string_view authorization);

 private:
  using Digest = std::array<unsigned char, 32>;

  AccessTokens(const std::string& path, const Clock* clock) : path_(path), clock_(clock) {}
  static absl::StatusOr<std::vector<Digest>> Read(const std::string& path);
  void ReloadIfChanged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const Clock* const clock_;
  Mutex mutex_;
  std::vector<Digest> digests_ ABSL_GUARDED_BY(mutex_);
  std::string signature_ ABSL_GUARDED_BY(mutex_);  // of the file when last checked
  absl::Time looked_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_ACCESS_TOKENS_H_
