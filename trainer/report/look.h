// What one look at a training saw: pictures and, for each photograph, what was decided. Beside
// WORK/samples/000010000.png, the pictures after 10,000 images, stand 000010000.json and
// 000010000-worst.png, those of the worst reconstructions.
#ifndef STYLEX_TRAINER_REPORT_LOOK_H_
#define STYLEX_TRAINER_REPORT_LOOK_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trainer/report/picture_sheet.h"

namespace stylex {

// A class and what the classifier says of it, without temperature.
struct LookedDecision {
  std::string label;
  double probability = 0;
};

// One held-out photograph.
struct LookedPhotograph {
  std::string name;
  double l1 = 0;  // of its reconstruction, pixels in [-1, 1]
  LookedDecision photograph;
  LookedDecision reconstruction;
  std::string runner_up;           // the photograph's class of second rank
  LookedDecision drawn_otherwise;  // of the picture with the runner-up's condition
};

struct LookFacts {
  std::vector<LookedPhotograph> shown;  // in the order of the columns
  std::vector<LookedPhotograph> worst;  // greatest L1 first
};

// The first `most` of them, as the JSON file and the page have them.
nlohmann::json PhotographsJson(const std::vector<LookedPhotograph>& photographs, size_t most);

// Path of the pictures that were drawn after so many images: of all (`kind` empty) or "-worst".
std::string LookPath(const std::string& work_directory, int64_t images,
                     const std::string& kind = "", const std::string& extension = ".png");

// Writes the JSON file, whole or not at all.
absl::Status WriteLookFacts(const LookFacts& facts, const std::string& work_directory,
                            int64_t images);

// What is there of a look. Its rows, [photographs, reconstructions, without condition, with the
// runner-up's], and for the worst [photographs, reconstructions].
struct Look {
  int64_t images = 0;
  std::vector<PictureRow> pictures;
  std::vector<PictureRow> worst;   // empty if it was not written
  std::optional<LookFacts> facts;  // likewise
};

// The numbers of images at which a run has been looked at, in order.
std::vector<int64_t> LooksIn(const std::string& work_directory);
// One of them, with or without the worst.
absl::StatusOr<Look> ReadLook(const std::string& work_directory, int64_t images, bool worst);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_LOOK_H_
