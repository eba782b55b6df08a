// Figures and pictures of a training as TensorBoard reads them.
//
// A file is a sequence of records: the length (8 bytes, the lowest first), the masked CRC-32C of
// these 8 bytes, the data, the masked CRC-32C of the data. The data are TensorboardEvent messages.
// A run that goes on begins a new file, as is usual with TensorBoard, which reads all files of a
// folder in the order of their names.
#ifndef STYLEX_TRAINER_REPORT_EVENT_FILE_H_
#define STYLEX_TRAINER_REPORT_EVENT_FILE_H_

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stylex/v1/tensorboard_event.pb.h"

namespace stylex {

// CRC-32C (Castagnoli; RFC 3720, B.4).
uint32_t Crc32c(std::string_view data);
// The same rotated right by 15 bits plus a constant: the check of data that contain checks.
uint32_t MaskedCrc32c(std::string_view data);
// `data` with length and checks.
std::string EventRecord(std::string_view data);

// Not thread-safe. Every record is on its way to the disk when its function returns; a reader may
// find the last one cut off.
class EventFile {
 public:
  // Creates a file of a new name in `folder`, which is created too. What earlier files have of
  // `first_step` and later steps is declared void. PERMISSION_DENIED names what cannot be created.
  static absl::StatusOr<std::unique_ptr<EventFile>> Create(const std::string& folder,
                                                           int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Tags are "group/name". RESOURCE_EXHAUSTED on a full disk.
  absl::Status WriteFigures(int64_t step, const std::string& group,
                            const std::map<std::string, double>& values);
  // `png` is a whole file. INVALID_ARGUMENT if it cannot be read.
  absl::Status WritePicture(int64_t step, const std::string& tag, const std::string& png);

 private:
  EventFile(std::string path, std::FILE* file);
  absl::Status Write(int64_t step, v1::TensorboardEvent event);

  std::string path_;
  std::FILE* file_;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_EVENT_FILE_H_
