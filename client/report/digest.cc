#include "client/report/digest.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"

namespace stylex {

std::string Sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
             /*size=*/nullptr, EVP_sha256(), /*impl=*/nullptr);
  return digest;
}

std::string Sha256Hex(std::string_view bytes) { return absl::BytesToHexString(Sha256(bytes)); }

}  // namespace stylex
