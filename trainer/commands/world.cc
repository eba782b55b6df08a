#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "trainer/commands/study_options.h"
#include "trainer/study/truth/truth_dataset.h"

namespace stylex {

absl::Status WorldCommand(const WorldOptions& options) {
  WorldDatasetOptions dataset;
  dataset.output = options.output;
  dataset.resolution = options.resolution;
  dataset.train = options.train;
  dataset.validation = options.validation;
  dataset.seed = options.seed;
  dataset.correlation = options.correlation;
  dataset.doubt = options.doubt;
  if (options.mark_on.empty()) {
    STYLEX_RETURN_IF_ERROR(WriteFaces(dataset, options.rule));
  } else {
    PlantedMarkOptions mark;
    mark.source = options.mark_on;
    mark.classes = absl::StrSplit(options.classes, ',');
    mark.rho = options.rho;
    mark.side = options.mark_side;
    STYLEX_RETURN_IF_ERROR(WritePlantedMark(dataset, mark));
  }
  std::printf("wrote %s: train, val, factors.csv, world.json\n", options.output.c_str());
  return absl::OkStatus();
}

}  // namespace stylex
