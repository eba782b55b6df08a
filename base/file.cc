#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

absl::Status ErrnoStatus(const std::string& path, absl::string_view what, int error) {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      code = absl::StatusCode::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = absl::StatusCode::kPermissionDenied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      code = absl::StatusCode::kResourceExhausted;
      break;
    default:
      break;
  }
  return absl::Status(code, absl::StrCat(path, ": ", what, ": ", std::strerror(error)));
}

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t written = write(fd, data.data(), data.size());
    if (written < 0 && errno != EINTR) {
      return ErrnoStatus(path, "cannot be written", errno);
    }
    if (written > 0) {
      data.remove_prefix(static_cast<size_t>(written));
    }
  }
  return absl::OkStatus();
}

// A rename is durable only after its folder has been flushed.
absl::Status SyncFolderOf(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return ErrnoStatus(folder, "cannot be opened", errno);
  }
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  // Some file systems cannot flush folders; the file's data has already been flushed.
  return result == 0 || error == EINVAL ? absl::OkStatus()
                                        : ErrnoStatus(folder, "cannot be flushed", error);
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return ErrnoStatus(path, "cannot be opened", errno);
  }
  const absl::Cleanup close_file = [fd] { close(fd); };
  struct stat info;
  if (fstat(fd, &info) != 0) {
    return ErrnoStatus(path, "cannot be examined", errno);
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder, expected a file"));
  }
  if (info.st_size > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": ", info.st_size, " bytes, the limit is ", max_bytes));
  }
  std::string data;
  data.reserve(static_cast<size_t>(info.st_size));
  char chunk[1 << 16];
  while (true) {
    const ssize_t got = read(fd, chunk, sizeof(chunk));
    if (got == 0) {
      return data;
    }
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return ErrnoStatus(path, "cannot be read", errno);
    }
    data.append(chunk, static_cast<size_t>(got));
    if (static_cast<int64_t>(data.size()) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": more than the limit of ", max_bytes, " bytes"));
    }
  }
}

namespace {

absl::Status WriteAndRename(const std::string& path, std::string_view data, bool flush) {
  std::string temporary = path + ".tmp-XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) {
    return ErrnoStatus(path, "cannot be created", errno);
  }
  absl::Cleanup remove_temporary = [&temporary] { unlink(temporary.c_str()); };
  absl::Status status = WriteAll(fd, data, path);
  if (status.ok() && flush && fsync(fd) != 0) {
    status = ErrnoStatus(path, "cannot be flushed", errno);
  }
  if (status.ok() && fchmod(fd, 0644) != 0) {
    status = ErrnoStatus(path, "cannot be made readable", errno);
  }
  if (close(fd) != 0 && status.ok()) {
    status = ErrnoStatus(path, "cannot be closed", errno);
  }
  STYLEX_RETURN_IF_ERROR(status);
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(path, "cannot be replaced", errno);
  }
  std::move(remove_temporary).Cancel();
  return flush ? SyncFolderOf(path) : absl::OkStatus();
}

}  // namespace

absl::Status WriteFileAtomic(const std::string& path, std::string_view data) {
  return WriteAndRename(path, data, /*flush=*/true);
}

absl::Status WriteFileUnflushed(const std::string& path, std::string_view data) {
  return WriteAndRename(path, data, /*flush=*/false);
}

}  // namespace stylex
