#include <torch/types.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "models/checkpoint.h"
#include "trainer/commands/opening.h"
#include "trainer/commands/study_options.h"
#include "trainer/data/encoded_images.h"
#include "trainer/study/paper_figures.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

// Number of images to choose from: enough for every class to have images that are decided
// otherwise.
constexpr int64_t kPool = 128;

absl::Status DrawPhotographs(const Stylex& model, const Dataset& dataset,
                             const EncodedImages& images, int64_t count, const std::string& path) {
  count = std::min(count, images.indices.size(0));
  std::vector<Bitmap> photographs;
  for (int64_t i = 0; i < count; ++i) {
    STYLEX_ASSIGN_OR_RETURN(Bitmap photograph,
                            dataset.Load(Split::kValidation, images.indices[i].item<int64_t>()));
    photographs.push_back(std::move(photograph));
  }
  return WriteSyntheticPng(DrawReconstructions(model, photographs, images.styles.Narrow(0, count)),
                           path);
}

// The first `count` images, chosen independently of what the attributes do there: first images
// whose runner-up is the class, then others that are decided otherwise, then those decided as the
// class.
torch::Tensor ExamplesFor(const EncodedImages& images, int64_t class_id, int64_t count) {
  const torch::Tensor ranked = images.logits.argsort(1, /*descending=*/true);
  const torch::Tensor place = ranked.eq(class_id).to(torch::kInt64).argmax(1);  // 0: decided as it
  const torch::Tensor group = torch::where(place.eq(0), 3, place.clamp_max(2));
  const torch::Tensor order =
      (group * group.size(0) + torch::arange(group.size(0))).argsort();  // stable
  return order.narrow(0, 0, std::min(count, order.size(0)));
}

}  // namespace

absl::Status FiguresCommand(const CommonOptions& common, const FiguresOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  const Stylex& model = checkpoint.model;
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "figures_state", /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(
      const EncodedImages images,
      EncodeImages(model, *dataset, Split::kValidation, std::max(kPool, options.photographs),
                   common.seed, run.get()));
  STYLEX_RETURN_IF_ERROR(DrawPhotographs(model, *dataset, images, options.photographs,
                                         run->Path("reconstructions.png")));
  std::printf("wrote %s\n", run->Path("reconstructions.png").c_str());
  if (!checkpoint.attributes) {
    std::printf("no attributes to draw: `stylex-train attributes` has not been run\n");
    return absl::OkStatus();
  }
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  for (const v1::ClassAttributes& entry : checkpoint.attributes->classes()) {
    const torch::Tensor examples = ExamplesFor(images, entry.class_id(), options.examples);
    if (entry.attributes().empty()) {
      std::printf("no attributes of class %d, %s\n", entry.class_id(),
                  model.config().labels(entry.class_id()).c_str());
      continue;
    }
    const std::string path = run->Path(absl::StrCat("attributes-", entry.class_id(), ".png"));
    STYLEX_RETURN_IF_ERROR(
        WriteSyntheticPng(DrawAttributes(model, images.styles.Select(examples), ranges, entry,
                                         options.attributes, options.shift),
                          path));
    std::printf("wrote %s: %s\n", path.c_str(), model.config().labels(entry.class_id()).c_str());
  }
  return absl::OkStatus();
}

}  // namespace stylex
