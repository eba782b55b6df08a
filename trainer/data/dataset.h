// Image data sets on disk: class folders in AFHQ's layout, the IDX files of (Fashion-)MNIST, CelebA
// with one of its attributes, or images without labels, such as FFHQ.
#ifndef STYLEX_TRAINER_DATA_DATASET_H_
#define STYLEX_TRAINER_DATA_DATASET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"
#include "image/resize.h"

namespace stylex {

enum class Split { kTrain, kValidation };

inline constexpr int64_t kNoLabel = -1;

// Images of one fixed size. Thread-safe.
class Dataset {
 public:
  virtual ~Dataset() = default;

  // Number of images of a split.
  virtual int64_t size(Split split) const = 0;
  virtual int64_t label(Split split, int64_t index) const = 0;  // kNoLabel if unknown
  // Where the image comes from, for messages: a path, or a file and a number.
  virtual std::string name(Split split, int64_t index) const = 0;
  // The files that the split is read from: one for each image, in their order, or fewer that hold
  // many each. Empty for images that come from no file.
  virtual std::vector<std::string> files(Split) const { return {}; }
  // Oriented, cropped, resized to resolution() and channels(). The error of an unreadable image
  // names it.
  virtual absl::StatusOr<Bitmap> Load(Split split, int64_t index) const = 0;

  // What lies in its folders and is not read, by kind ("2 .bmp files"); may be empty.
  const std::map<std::string, int64_t>& left_out() const { return left_out_; }

  // Whether its images have labels: either all of them do or none does.
  bool labelled() const { return label(Split::kTrain, 0) != kNoLabel; }
  const std::vector<std::string>& labels() const { return labels_; }
  // How its images are prepared: the requested preparation, adjusted to the kind of data set.
  const Preparation& preparation() const { return preparation_; }
  // Side of the prepared images.
  int resolution() const { return preparation_.resolution; }
  // 1 or 3.
  int channels() const { return preparation_.channels; }

 protected:
  explicit Dataset(const Preparation& preparation) : preparation_(preparation) {}
  std::vector<std::string> labels_;
  std::map<std::string, int64_t> left_out_;

 private:
  Preparation preparation_;
};

// Of photographs that a trainer reads from its own disk: three bytes a pixel while one is decoded.
inline constexpr int64_t kMaxTrainingPixels = 200'000'000;

// An image file in which the crop does not fit cannot be loaded (INVALID_ARGUMENT).
struct DatasetOptions : Preparation {
  // Images of 64 x 64, unless told otherwise.
  DatasetOptions() { resolution = 64; }
  // In the order of the classifier's outputs. Folders and attributes are paired with them by name;
  // IDX files, whose classes are numbers, by position. Empty: the folders' names or "0", "1", ...
  std::vector<std::string> labels;
  // Labels of folders (or of an attribute's two classes) with other names.
  std::map<std::string, std::string> classes;
  int64_t max_pixels = kMaxTrainingPixels;  // of an image file, before it is made smaller
};

// Opens a folder, or CelebA's with an attribute, FOLDER:ATTRIBUTE: IDX files
// (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…, each with or without .gz), or
// train/CLASS/*.{jpg,jpeg,png,webp} beside val/CLASS/* (or valid, validation, test), or images
// without classes.
//
// IDX images of 28x28 become 32x32 by a black border, other sizes by resizing. NOT_FOUND or
// INVALID_ARGUMENT names the path and the fault: no split, an empty class folder, classes that
// differ between the splits, a broken IDX header.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const std::string& path,
                                                     const DatasetOptions& options);

// The kinds, for OpenDataset.
bool LooksLikeIdx(const std::string& path);
// Files in the format of MNIST.
absl::StatusOr<std::unique_ptr<Dataset>> OpenIdxDataset(const std::string& path,
                                                        const DatasetOptions& options);
// A folder of images for each class.
absl::StatusOr<std::unique_ptr<Dataset>> OpenImageFolder(const std::string& path,
                                                         const DatasetOptions& options);

// CelebA as it is published: img_align_celeba/*.jpg, list_attr_celeba.txt, list_eval_partition.txt.
// `path` is FOLDER:ATTRIBUTE, e.g. celeba:Young. Class 0 is "not ATTRIBUTE", class 1 "ATTRIBUTE",
// unless the options pair them otherwise (PairByName); partition 0 is for training, 1 for
// validation, 2 is unused. INVALID_ARGUMENT names the file, the line and the fault, or lists the
// attributes that exist.
bool LooksLikeCelebA(const std::string& path);
// CelebA as published.
absl::StatusOr<std::unique_ptr<Dataset>> OpenCelebA(const std::string& path,
                                                    const DatasetOptions& options);

// FFHQ and similar: images, or folders of images, without train/. Sorted by path, the first six
// sevenths are for training, the rest for validation (of FFHQ's 70,000: 60,000 and 10,000). No
// image has a label; the classes are the classifier's and must be named in the options.
bool LooksUnlabelled(const std::string& path);
// A folder of images whose classes are unknown.
absl::StatusOr<std::unique_ptr<Dataset>> OpenUnlabelledFolder(const std::string& path,
                                                              const DatasetOptions& options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_DATASET_H_
