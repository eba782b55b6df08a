// Certificates for a test, made by the program openssl.
#ifndef STYLEX_TESTS_SERVER_HTTP_CERTIFICATES_H_
#define STYLEX_TESTS_SERVER_HTTP_CERTIFICATES_H_

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace stylex {

// Writes FOLDER/NAME.crt and NAME.key, self-signed, for "localhost". False where openssl is
// missing.
inline bool MakeCertificate(const std::string& folder, const std::string& name) {
  const std::string path = absl::StrCat(folder, "/", name);
  const std::string command = absl::StrCat(
      "openssl req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "
      "/CN=",
      name, " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ", path, ".key -out ", path,
      ".crt >/dev/null 2>&1");
  return std::system(command.c_str()) == 0;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_HTTP_CERTIFICATES_H_
