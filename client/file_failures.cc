#include "client/file_failures.h"

#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

// Local messages about a file start with its path; the server's do not know it.
std::string NamingFile(const std::string& path, const absl::Status& status) {
  return absl::StartsWith(status.message(), absl::StrCat(path, ":"))
             ? std::string(status.message())
             : absl::StrCat(path, ": ", status.message());
}

}  // namespace

void FileFailures::Add(const std::string& path, const absl::Status& status) {
  const std::string message = NamingFile(path, status);
  ++failed_;
  first_.Update(absl::Status(status.code(), message));
  if (files_ > 1) {
    std::fprintf(stderr, "stylex: %s\n", message.c_str());
  }
}

absl::Status FileFailures::Summary() const {
  if (failed_ == 0 || files_ == 1) {
    return first_;
  }
  return absl::Status(first_.code(), absl::StrCat(failed_, " of ", files_, " images failed"));
}

}  // namespace stylex
