// Classes that a data set has by name, such as those of its folders, paired with labels.
#ifndef STYLEX_TRAINER_DATA_CLASS_NAMES_H_
#define STYLEX_TRAINER_DATA_CLASS_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/dataset.h"

namespace stylex {

struct PairedClasses {
  std::vector<std::string> labels;
  std::vector<int64_t> of_name;  // for each name, the position of its label
};

// Pairs by name, whatever the order: each name is its label, or has it in options.classes. Without
// labels, they are the names (or what options.classes says for them), in the order of the names.
// INVALID_ARGUMENT names `path`, both lists and what would pair them when a name has no label, a
// label no name, or options.classes tells of a name that is not there.
absl::StatusOr<PairedClasses> PairByName(const std::string& path,
                                         const std::vector<std::string>& names,
                                         const DatasetOptions& options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_CLASS_NAMES_H_
