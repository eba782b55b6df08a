#ifndef STYLEX_MODELS_CHECKPOINT_CONFIG_FAULTS_H_
#define STYLEX_MODELS_CHECKPOINT_CONFIG_FAULTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stylex {

// Collects all faults of a config, so that they can be reported together.
class ConfigFaults {
 public:
  // Records a fault unless `ok`: field, value, and what would be right.
  void Check(bool ok, absl::string_view field, const absl::AlphaNum& value,
             absl::string_view expected) {
    if (!ok) {
      faults_.push_back(absl::StrCat(field, " is ", value, ", expected ", expected));
    }
  }
  // INVALID_ARGUMENT with all faults after `origin`, if there are any.
  absl::Status ToStatus(absl::string_view origin) const {
    return faults_.empty() ? absl::OkStatus()
                           : absl::InvalidArgumentError(
                                 absl::StrCat(origin, ": ", absl::StrJoin(faults_, "; ")));
  }

 private:
  std::vector<std::string> faults_;
};

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_CONFIG_FAULTS_H_
