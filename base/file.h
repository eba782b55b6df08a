// Files read whole, and written whole or not at all.
#ifndef STYLEX_BASE_FILE_H_
#define STYLEX_BASE_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stylex {

// Reads a whole file; NOT_FOUND, PERMISSION_DENIED or RESOURCE_EXHAUSTED (over max_bytes) with the
// path in the message.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes = int64_t{1} << 30);

// Writes to a temporary name in the same folder, flushes to disk, renames: a reader sees the old
// file or the new one, never a part. A full disk is RESOURCE_EXHAUSTED and leaves the old file.
absl::Status WriteFileAtomic(const std::string& path, std::string_view data);
// As WriteFileAtomic but for the flush, which takes milliseconds: for many files that are of no use
// until another one, flushed, says that all of them are there.
absl::Status WriteFileUnflushed(const std::string& path, std::string_view data);

}  // namespace stylex

#endif  // STYLEX_BASE_FILE_H_
