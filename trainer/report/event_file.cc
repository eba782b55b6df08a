#include "trainer/report/event_file.h"

#include <boost/crc.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "image/codec.h"

namespace stylex {
namespace {

// The lowest byte first.
template <typename Number>
std::string Bytes(Number number) {
  std::string bytes(sizeof(number), '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(number & 0xFF);
    number >>= 8;
  }
  return bytes;
}

// TensorBoard reads files in the order of their names: by time, to the microsecond.
std::string FileName() {
  const int64_t now = absl::GetCurrentTimeNanos() / 1000;
  return absl::StrFormat("events.out.tfevents.%010d.%06d.stylex", now / 1000000, now % 1000000);
}

}  // namespace

uint32_t Crc32c(std::string_view data) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(data.data(), data.size());
  return crc.checksum();
}

uint32_t MaskedCrc32c(std::string_view data) {
  const uint32_t crc = Crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

std::string EventRecord(std::string_view data) {
  const std::string length = Bytes(uint64_t{data.size()});
  std::string record = length + Bytes(MaskedCrc32c(length));
  record.append(data);
  return record + Bytes(MaskedCrc32c(data));
}

absl::StatusOr<std::unique_ptr<EventFile>> EventFile::Create(const std::string& folder,
                                                             int64_t first_step) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path = absl::StrCat(folder, "/", FileName());
  std::FILE* file = std::fopen(path.c_str(), "wxe");  // never one that is there
  if (file == nullptr) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": cannot be created: ", std::strerror(errno)));
  }
  std::unique_ptr<EventFile> made(new EventFile(path, file));
  v1::TensorboardEvent version;
  version.set_file_version("brain.Event:2");
  STYLEX_RETURN_IF_ERROR(made->Write(0, std::move(version)));
  v1::TensorboardEvent start;
  start.mutable_session_log()->set_status(v1::TENSORBOARD_SESSION_STATUS_START);
  STYLEX_RETURN_IF_ERROR(made->Write(first_step, std::move(start)));
  return made;
}

EventFile::EventFile(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}

EventFile::~EventFile() { std::fclose(file_); }

absl::Status EventFile::Write(int64_t step, v1::TensorboardEvent event) {
  event.set_step(step);
  event.set_wall_time(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  const std::string record = EventRecord(event.SerializeAsString());
  if (std::fwrite(record.data(), 1, record.size(), file_) != record.size() ||
      std::fflush(file_) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, ": cannot be written: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status EventFile::WriteFigures(int64_t step, const std::string& group,
                                     const std::map<std::string, double>& values) {
  v1::TensorboardEvent event;
  for (const auto& [name, figure] : values) {
    v1::TensorboardValue& value = *event.mutable_summary()->add_value();
    value.set_tag(absl::StrCat(group, "/", name));
    value.set_simple_value(static_cast<float>(figure));
  }
  return Write(step, std::move(event));
}

absl::Status EventFile::WritePicture(int64_t step, const std::string& tag, const std::string& png) {
  STYLEX_ASSIGN_OR_RETURN(const Bitmap bitmap, DecodeImage(png));
  v1::TensorboardEvent event;
  v1::TensorboardValue& value = *event.mutable_summary()->add_value();
  value.set_tag(tag);
  v1::TensorboardImage& image = *value.mutable_image();
  image.set_height(bitmap.height);
  image.set_width(bitmap.width);
  image.set_colorspace(bitmap.channels);
  image.set_encoded_image_string(png);
  return Write(step, std::move(event));
}

}  // namespace stylex
