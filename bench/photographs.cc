#include "bench/photographs.h"

#include <torch/types.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "base/status_macros.h"
#include "trainer/commands/opening.h"
#include "trainer/data/batch_loader.h"

namespace stylex {

absl::StatusOr<StyleVectors> StylesOfPhotographs(const Stylex& model, const std::string& data,
                                                 int64_t count) {
  CommonOptions options;
  options.data = data;
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(model.config(), options));
  std::vector<StyleVectors> parts;
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      *dataset, Split::kValidation, /*batch_size=*/64, count,
      [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); },
      [&](const Batch& batch) {
        parts.push_back(model.StylesOfImages(batch.images));
        return absl::OkStatus();
      }));
  return StyleVectors::Concatenate(parts);
}

}  // namespace stylex
