// What is in a data set, for a person to read before anything is computed.
#ifndef STYLEX_TRAINER_DATA_OVERVIEW_H_
#define STYLEX_TRAINER_DATA_OVERVIEW_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "stylex/v1/run_record.pb.h"
#include "trainer/data/dataset.h"

namespace stylex {

struct Overview {
  // Classes with their numbers of images, formats and sizes of the files, what was left out.
  std::vector<std::string> lines;
  // Validation images that are training images as well; files whose content is no image.
  std::vector<std::string> warnings;
  // DATA_LOSS naming all files of a split whose content is no image, when they are more than may be
  // left out (see BatchLoader).
  absl::Status status;
};

// `inventory`: the data set's, see TakeInventory. Reads the beginning of each image file.
Overview LookOver(const Dataset& dataset, const std::vector<v1::DataFile>& inventory);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_OVERVIEW_H_
