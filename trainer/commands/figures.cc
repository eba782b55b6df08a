#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/exemplar_baseline.h"
#include "image/codec.h"
#include "models/checkpoint.h"
#include "trainer/commands/opening.h"
#include "trainer/commands/study_options.h"
#include "trainer/data/encoded_images.h"
#include "trainer/data/random_order.h"
#include "trainer/study/paper_figures.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

// Number of images to choose from: enough for every class to have images that are decided
// otherwise.
constexpr int64_t kPool = 128;
constexpr int64_t kPopulation = 2000;  // training images that the baseline's exemplars are of
// Purposes of random numbers, see SeedFor.
constexpr uint64_t kWuPopulation = 91;
constexpr uint64_t kSamples = 92;

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

// What is drawn for each class, and how the figures call it.
struct Drawn {
  std::vector<v1::ClassAttributes> classes;
  StyleRanges ranges;
  std::string file;    // the files' names begin with it
  std::string chosen;  // see DrawAttributes
};

// The baseline's lists, with the index's ranges or, without an index, the population's. A class
// without exemplars has an empty list, with a warning.
absl::StatusOr<Drawn> BaselineOf(const Checkpoint& checkpoint, const Dataset& dataset,
                                 const FiguresOptions& options, uint64_t seed, WorkDirectory* run) {
  const Stylex& model = checkpoint.model;
  STYLEX_ASSIGN_OR_RETURN(ExemplarOptions exemplars, ParseExemplars(options.exemplars));
  exemplars.max_attributes = options.attributes;
  STYLEX_ASSIGN_OR_RETURN(const EncodedImages population,
                          EncodeImages(model, dataset, Split::kTrain, kPopulation,
                                       SeedFor(seed, 0, kWuPopulation), run));
  const torch::Tensor logits = LogitsOf(model, population.styles);
  StyleRangeAccumulator ranges;
  ranges.Add(population.styles.conv);
  Drawn drawn = {
      .classes = {},
      .ranges = checkpoint.attributes ? RangesFromIndex(*checkpoint.attributes) : ranges.Finish(),
      .file = "wu",
      .chosen = "what Wu et al. list for"};
  for (int64_t k = 0; k < model.num_classes(); ++k) {
    const auto listed = ExemplarAttributes(population.styles.conv, logits, k, exemplars);
    if (!listed.ok()) {
      run->Warn(std::string(listed.status().message()));
    }
    drawn.classes.push_back(
        EntryOf(listed.value_or(std::vector<ExemplarAttribute>()), k, model.layout()));
  }
  return drawn;
}

Drawn IndexOf(const v1::AttributeIndex& index) {
  return {.classes = {index.classes().begin(), index.classes().end()},
          .ranges = RangesFromIndex(index),
          .file = "attributes",
          .chosen = "what raises"};
}

absl::Status DrawClasses(const Stylex& model, const EncodedImages& images, const Drawn& drawn,
                         const FiguresOptions& options, const WorkDirectory& run) {
  for (const v1::ClassAttributes& entry : drawn.classes) {
    const std::string& label = model.config().labels(entry.class_id());
    if (entry.attributes().empty()) {
      std::printf("no attributes of class %d, %s\n", entry.class_id(), label.c_str());
      continue;
    }
    const torch::Tensor examples = ExamplesFor(images, entry.class_id(), options.examples);
    const std::string path = run.Path(absl::StrCat(drawn.file, "-", entry.class_id(), ".png"));
    const StyleVectors shown = images.styles.Select(examples.to(model.device()));
    STYLEX_RETURN_IF_ERROR(
        WriteSyntheticPng(DrawAttributes(model, shown, drawn.ranges, entry, options.attributes,
                                         options.shift, drawn.chosen),
                          path));
    std::printf("wrote %s: %s\n", path.c_str(), label.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FiguresCommand(const CommonOptions& common, const FiguresOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          OpenCheckpoint(common, options.checkpoint, Encoding::kOptional));
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
  if (model.has_encoder()) {  // a StyleGAN2 reconstructs nothing: its images are drawn from z
    STYLEX_RETURN_IF_ERROR(DrawPhotographs(model, *dataset, images, options.photographs,
                                           run->Path("reconstructions.png")));
    std::printf("wrote %s\n", run->Path("reconstructions.png").c_str());
  }
  if (options.baseline == kWuBaseline) {
    STYLEX_ASSIGN_OR_RETURN(const Drawn drawn,
                            BaselineOf(checkpoint, *dataset, options, common.seed, run.get()));
    return DrawClasses(model, images, drawn, options, *run);
  }
  if (!checkpoint.attributes) {
    std::printf("no attributes to draw: `stylex-train attributes` has not been run\n");
    return absl::OkStatus();
  }
  return DrawClasses(model, images, IndexOf(*checkpoint.attributes), options, *run);
}

absl::Status SamplesCommand(const CommonOptions& common, const SamplesOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          OpenCheckpoint(common, options.checkpoint, Encoding::kOptional));
  const Stylex& model = checkpoint.model;
  if (model.has_encoder()) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.checkpoint,
                     ": has an encoder and draws photographs; `stylex-train figures` shows them"));
  }
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "samples_state", /*resume=*/true));
  torch::NoGradGuard no_grad;
  const StyleVectors styles =
      SampleStyles(model, options.images, SeedFor(common.seed, 0, kSamples));
  const std::string path = run->Path("samples.png");
  STYLEX_RETURN_IF_ERROR(WriteSyntheticPng(DrawSamples(model, styles, options.columns), path));
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace stylex
