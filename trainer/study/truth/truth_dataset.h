// Data sets with known ground truth, on disk: images in class folders, factors.csv with the factors
// of each image, world.json with the description of the data set. Written by `stylex-train world`,
// read by `stylex-train truth`.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_TRUTH_DATASET_H_
#define STYLEX_TRAINER_STUDY_TRUTH_TRUTH_DATASET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "image/bitmap.h"
#include "trainer/study/truth/planted_mark.h"

namespace stylex {

struct WorldDatasetOptions {
  std::string output;  // a folder that has no train/ yet
  int resolution = 64;
  int64_t train = 6000;
  int64_t validation = 1000;
  uint64_t seed = 1;
  double correlation = 0;  // of pairs of the faces' factors, see SampleWorld
  double doubt = 0;        // in the faces' labels, see WorldRule::Label
};

// Faces of trainer/study/truth/drawn_face.h with labels "no" and "yes" by `rule`
// (trainer/study/truth/label_rule.h). Everything follows from the options. INVALID_ARGUMENT for a
// bad rule, correlation or doubt, ALREADY_EXISTS for a folder in use, FAILED_PRECONDITION when a
// split has no image of one class.
absl::Status WriteFaces(const WorldDatasetOptions& options, const std::string& rule);

struct PlantedMarkOptions {
  std::string source;                // a data set as OpenDataset reads it
  std::vector<std::string> classes;  // two of its labels; the second gets the mark more often
  double rho = 1;                    // correlation of mark and label, 0 to 1
  double side = kMarkSide;           // of the mark, as a share of the picture's
};

// Photographs with a small bright square planted in the top left corner
// (trainer/study/truth/planted_mark.h). Both classes have the same number of images, as many as
// exist up to the options' numbers; a share of (1 + rho) / 2 of one class and (1 - rho) / 2 of the
// other, rounded, carries the mark.
absl::Status WritePlantedMark(const WorldDatasetOptions& options, const PlantedMarkOptions& mark);

class KnownWorld {
 public:
  struct Factor {
    std::string name;
    double deviation = 1;  // standard deviation in the data
    double low = 0,
           high = 1;  // where interventions move it from and to: the 10 % and 90 % quantile
    int sign = 0;     // of its influence on class 1; 0: none
  };
  struct Reading {
    std::vector<double> values;  // in the order of factors()
    double residual = 0;         // unexplained part, rms in bytes; 0 if unknown
  };

  virtual ~KnownWorld() = default;
  const std::vector<Factor>& factors() const { return factors_; }
  std::vector<int> signs() const;  // of the factors
  int resolution() const { return resolution_; }
  int channels() const { return channels_; }

  // Factor values of an image of the data set, by its path. NOT_FOUND names the path and
  // factors.csv.
  absl::StatusOr<std::vector<double>> ValuesOf(const std::string& image_path) const;
  // The exact image with one factor changed. `values`: those of `image`.
  virtual Bitmap Intervene(const Bitmap& image, const std::vector<double>& values, size_t factor,
                           double value) const = 0;
  // Estimates the factors of any image of the right size. `guess`: the values of a similar image.
  // Thread-safe.
  virtual Reading Read(const Bitmap& image, const std::vector<double>& guess) const = 0;
  // `after` with the factor reset to its value in `before` and everything else unchanged; none if
  // the world cannot separate the factor's part of a picture from the rest.
  virtual std::optional<Bitmap> Undo(const Bitmap&, const Bitmap&, size_t) const {
    return std::nullopt;
  }

 protected:
  friend absl::StatusOr<std::unique_ptr<KnownWorld>> OpenKnownWorld(const std::string& folder);
  std::vector<Factor> factors_;
  int resolution_ = 0;
  int channels_ = 0;
  std::string folder_;
  std::map<std::string, std::vector<double>> values_;  // by path within the folder
};

// NOT_FOUND or INVALID_ARGUMENT names the file and the fault.
absl::StatusOr<std::unique_ptr<KnownWorld>> OpenKnownWorld(const std::string& folder);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_TRUTH_DATASET_H_
