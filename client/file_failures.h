// Records the photographs that failed while the others are processed.
#ifndef STYLEX_CLIENT_FILE_FAILURES_H_
#define STYLEX_CLIENT_FILE_FAILURES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace stylex {

// Not thread-safe.
class FileFailures {
 public:
  // `files`: how many photographs there are in all.
  explicit FileFailures(size_t files) : files_(files) {}

  // Prints one line to stderr that names the file. If there is only one file, prints nothing:
  // Summary contains the error.
  void Add(const std::string& path, const absl::Status& status);

  // OK without failures; otherwise the first failure's code, with the numbers of failed and of all
  // files.
  absl::Status Summary() const;

 private:
  const size_t files_;
  size_t failed_ = 0;
  absl::Status first_;
};

}  // namespace stylex

#endif  // STYLEX_CLIENT_FILE_FAILURES_H_
