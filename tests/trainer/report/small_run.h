// A work directory as a short run leaves it.
#ifndef STYLEX_TESTS_TRAINER_REPORT_SMALL_RUN_H_
#define STYLEX_TESTS_TRAINER_REPORT_SMALL_RUN_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "image/codec.h"
#include "trainer/report/look.h"
#include "trainer/report/picture_sheet.h"

namespace stylex {

// Lines of a log in which a run sees ten images a second.
class LogText {
 public:
  static absl::Time Start() { return absl::FromUnixSeconds(1'700'000'000); }

  LogText& Step(int64_t images, nlohmann::json figures) {
    return Add("stylex", images, std::move(figures));
  }
  LogText& Check(int64_t images, nlohmann::json figures) {
    return Add("stylex_validation", images, std::move(figures));
  }
  LogText& Say(const std::string& event, const std::string& message) {
    absl::StrAppend(&text_, nlohmann::json{{"event", event}, {"message", message}}.dump(), "\n");
    return *this;
  }
  // What follows is written that much later than the images ask for.
  LogText& Pause(absl::Duration pause) {
    pause_ += pause;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  LogText& Add(const std::string& event, int64_t images, nlohmann::json line) {
    line["event"] = event;
    line["step"] = images / 10;
    line["images_seen"] = static_cast<double>(images);
    line["time"] = absl::FormatTime(
        absl::RFC3339_sec, Start() + pause_ + absl::Seconds(images / 10), absl::UTCTimeZone());
    absl::StrAppend(&text_, line.dump(), "\n");
    return *this;
  }

  absl::Duration pause_;
  std::string text_;
};

inline void WriteLog(const std::string& folder, const LogText& log) {
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(WriteFileAtomic(folder + "/log.jsonl", log.text()).ok());
}

// A picture of one grey but for its first pixel, without which it would look as if it were doubled.
inline Bitmap Grey(int side, int level) {
  Bitmap picture = Bitmap::Make(side, side, 3, static_cast<uint8_t>(level));
  picture.data[0] = 255;
  return picture;
}

// Rows of pictures of one grey each: 10 * row + column + `first`.
inline std::vector<PictureRow> GreyRows(int rows, int columns, int side, int first = 0) {
  std::vector<PictureRow> made(static_cast<size_t>(rows));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      made[static_cast<size_t>(r)].push_back(Grey(side, first + 10 * r + c));
    }
  }
  return made;
}

inline void WriteSheet(const std::vector<PictureRow>& rows, const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ASSERT_TRUE(WriteFileAtomic(path, EncodePng(DrawPictureSheet(rows)).value()).ok());
}

inline LookedPhotograph Looked(const std::string& name, double l1, const std::string& drawn) {
  return {name, l1, {"healthy", 0.9}, {drawn, 0.8}, "sick", {"sick", 0.7}};
}

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_REPORT_SMALL_RUN_H_
