// Labelled images on disk: class folders in AFHQ's layout, or the IDX files of (Fashion-)MNIST.
#ifndef STYLEX_TRAINER_DATASET_H_
#define STYLEX_TRAINER_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"

namespace stylex {

enum class Split { kTrain, kValidation };

// Images of one fixed size. Thread-safe.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size(Split split) const = 0;
  virtual int64_t label(Split split, int64_t index) const = 0;
  // Where the image comes from, for messages: a path, or a file and a number.
  virtual std::string name(Split split, int64_t index) const = 0;
  // Oriented, cropped, resized to resolution() and channels(). The error of an unreadable image
  // names it.
  virtual absl::StatusOr<Bitmap> Load(Split split, int64_t index) const = 0;

  const std::vector<std::string>& labels() const { return labels_; }
  int resolution() const { return resolution_; }
  int channels() const { return channels_; }

 protected:
  Dataset(int resolution, int channels) : resolution_(resolution), channels_(channels) {}
  std::vector<std::string> labels_;

 private:
  int resolution_;
  int channels_;
};

struct DatasetOptions {
  int resolution = 64;
  int channels = 3;
  bool stretch = false;             // instead of cropping the central square
  std::vector<std::string> labels;  // instead of the folders' names or "0", "1", ...
};

// Opens a folder: IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…, each with or
// without .gz), or train/CLASS/*.{jpg,jpeg,png} beside val/CLASS/* (or valid, validation, test).
//
// IDX images of 28x28 become 32x32 by a black border, other sizes by resizing. NOT_FOUND or
// INVALID_ARGUMENT names the path and the fault: no split, an empty class folder, classes that
// differ between the splits, a broken IDX header.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const std::string& path,
                                                     const DatasetOptions& options);

// The two kinds, for OpenDataset.
bool LooksLikeIdx(const std::string& path);
absl::StatusOr<std::unique_ptr<Dataset>> OpenIdxDataset(const std::string& path,
                                                        const DatasetOptions& options);
absl::StatusOr<std::unique_ptr<Dataset>> OpenImageFolder(const std::string& path,
                                                         const DatasetOptions& options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATASET_H_
