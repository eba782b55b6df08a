// SHA-256.
#ifndef STYLEX_CLIENT_REPORT_DIGEST_H_
#define STYLEX_CLIENT_REPORT_DIGEST_H_

#include <string>
#include <string_view>

namespace stylex {

// 32 bytes.
std::string Sha256(std::string_view bytes);
// The same in 64 hexadecimal digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_DIGEST_H_
