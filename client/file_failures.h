// Keeps account of the photographs that could not be dealt with while the others go on.
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

  // Prints one line on stderr that names the file. With one file in all nothing is printed: Summary
  // says everything.
  void Add(const std::string& path, const absl::Status& status);

  // OK without failures; otherwise the first one's code, and how many of how many failed.
  absl::Status Summary() const;

 private:
  const size_t files_;
  size_t failed_ = 0;
  absl::Status first_;
};

}  // namespace stylex

#endif  // STYLEX_CLIENT_FILE_FAILURES_H_
