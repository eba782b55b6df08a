#include "server/rpc/access_tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);
constexpr absl::string_view kScheme = "Bearer ";

// Changes whenever the file does; empty when the file does not exist.
std::string Signature(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0
             ? absl::StrCat(info.st_ino, ":", info.st_size, ":", info.st_mtim.tv_sec, ".",
                            info.st_mtim.tv_nsec)
             : "";
}

}  // namespace

absl::StatusOr<std::vector<AccessTokens::Digest>> AccessTokens::Read(const std::string& path) {
  std::ifstream file(path);
  std::vector<Digest> digests;
  for (std::string line; std::getline(file, line);) {
    const absl::string_view token = absl::StripAsciiWhitespace(line);
    if (!token.empty() && token.front() != '#') {
      EVP_Digest(token.data(), token.size(), digests.emplace_back().data(), nullptr, EVP_sha256(),
                 nullptr);
    }
  }
  if (digests.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "token file ", path, ": cannot be read or holds no token; one a line is needed"));
  }
  return digests;
}

absl::StatusOr<std::unique_ptr<AccessTokens>> AccessTokens::Open(const std::string& path,
                                                                 const Clock* clock) {
  std::unique_ptr<AccessTokens> tokens(new AccessTokens(path, clock));
  MutexLock lock(&tokens->mutex_);
  tokens->signature_ = Signature(path);
  tokens->looked_at_ = clock->Now();
  STYLEX_ASSIGN_OR_RETURN(tokens->digests_, Read(path));
  return tokens;
}

void AccessTokens::ReloadIfChanged() {
  if (clock_->Now() - looked_at_ < kLookInterval) {
    return;
  }
  looked_at_ = clock_->Now();
  const std::string signature = Signature(path_);
  if (signature == signature_) {
    return;
  }
  signature_ = signature;
  absl::StatusOr<std::vector<Digest>> digests = Read(path_);
  if (digests.ok()) {
    digests_ = std::move(digests).value();
    spdlog::info("{} access tokens are in force, from {}", digests_.size(), path_);
  } else {
    spdlog::error("the old access tokens stay: {}", std::string(digests.status().message()));
  }
}

bool AccessTokens::Allows(absl::string_view authorization) {
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return false;
  }
  const absl::string_view token = authorization.substr(kScheme.size());
  Digest digest;
  EVP_Digest(token.data(), token.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  MutexLock lock(&mutex_);
  ReloadIfChanged();
  int allowed = 0;
  for (const Digest& known : digests_) {
    allowed |= CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0 ? 1 : 0;
  }
  return allowed != 0;
}

}  // namespace stylex
