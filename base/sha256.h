// SHA-256.
#ifndef STYLEX_BASE_SHA256_H_
#define STYLEX_BASE_SHA256_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace stylex {

// 32 bytes.
std::string Sha256Bytes(std::string_view bytes);
// The same in 64 lower-case hexadecimal digits.
std::string Sha256(std::string_view bytes);
// SHA-256 of a whole file, read in chunks; errors name the path.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

}  // namespace stylex

#endif  // STYLEX_BASE_SHA256_H_
