// A lock on a folder, so that two programs do not write into it at once.
#ifndef STYLEX_BASE_FOLDER_LOCK_H_
#define STYLEX_BASE_FOLDER_LOCK_H_

#include <string>

#include "absl/status/statusor.h"

namespace stylex {

// Held until it is destroyed or the process ends, however it ends. Movable.
class FolderLock {
 public:
  // Takes the lock `FOLDER/lock`, a file that stays. FAILED_PRECONDITION if another process, or
  // another FolderLock of this one, holds it; PERMISSION_DENIED if the file cannot be created.
  static absl::StatusOr<FolderLock> Take(const std::string& folder);

  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;

 private:
  explicit FolderLock(int file) : file_(file) {}

  int file_;  // -1: moved from
};

}  // namespace stylex

#endif  // STYLEX_BASE_FOLDER_LOCK_H_
