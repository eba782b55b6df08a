#include "server/rpc/forwarded_peer.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace stylex {
namespace {

constexpr char kForwardedPeerKey[] = "x-stylex-forwarded-peer";

// Made anew by each process, and never told to anyone.
const std::string& Secret() {
  static const std::string secret = [] {
    std::array<unsigned char, 32> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
      std::abort();  // a secret that can be guessed is worse than none
    }
    return absl::StrCat(absl::BytesToHexString(absl::string_view(
                            reinterpret_cast<const char*>(bytes.data()), bytes.size())),
                        " ");
  }();
  return secret;
}

}  // namespace

std::pair<std::string, std::string> ForwardedPeer(const std::string& peer) {
  return {kForwardedPeerKey, Secret() + peer};
}

std::string PeerOf(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find(kForwardedPeerKey);
  if (found != context.client_metadata().end()) {
    const absl::string_view value(found->second.data(), found->second.size());
    const std::string& secret = Secret();
    if (value.size() > secret.size() &&
        CRYPTO_memcmp(value.data(), secret.data(), secret.size()) == 0) {
      return std::string(value.substr(secret.size()));
    }
  }
  return context.peer();
}

}  // namespace stylex
