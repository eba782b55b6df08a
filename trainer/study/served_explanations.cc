#include "trainer/study/served_explanations.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <random>

#include "base/status_macros.h"
#include "explain/counterfactual.h"
#include "explain/explanation.h"
#include "explain/image_variants.h"
#include "explain/local_change.h"
#include "explain/metrics.h"
#include "explain/style_space.h"
#include "models/pixels.h"
#include "models/rendering.h"
#include "trainer/data/random_order.h"
#include "trainer/study/counterfactual_quality.h"
#include "trainer/study/image_workers.h"
#include "trainer/study/reconstruction_figures.h"

namespace stylex {
namespace {

constexpr uint64_t kRandomMove = 32;  // a purpose of random numbers, see SeedFor

// Judges the explanation of one image.
class Judge {
 public:
  Judge(const Checkpoint& checkpoint, const std::vector<Oracle>& oracles, uint64_t seed)
      : model_(checkpoint.model),
        ranges_(RangesFromIndex(*checkpoint.attributes)),
        index_(IndexLists(*checkpoint.attributes, model_.num_classes())),
        oracles_(oracles),
        seed_(seed) {}

  absl::StatusOr<ServedExplanation> Of(const Bitmap& bitmap, int64_t number) const;

 private:
  absl::StatusOr<Explanation> Ask(const torch::Tensor& x, int64_t moves, double probability) const {
    ExplanationOptions options;
    options.search.max_attributes = moves;
    options.search.target_probability = probability;
    options.search.rendering = Rendering::Png();
    options.search.least_excess = kLeastExcess;
    return Explain(model_, ranges_, index_, x, options);
  }
  // Whether the image's file is decided as the class.
  bool Decides(const Classifier& classifier, const torch::Tensor& image, int64_t target) const {
    return classifier.Logits(Rendering::Png().Apply(image)).argmax(1).item<int64_t>() == target;
  }
  bool Decides(const torch::Tensor& image, int64_t target) const {
    return model_.Logits(Rendering::Png().Apply(image)).argmax(1).item<int64_t>() == target;
  }
  StyleVectors Encoded(const torch::Tensor& image) const {
    return model_.Styles(model_.Encode(image, model_.Logits(image)));
  }
  MoveSet RandomMoves(int64_t count, std::mt19937_64* random) const;
  // How many of the sets of moves make the decision the target.
  int64_t FlippedBy(const StyleVectors& styles, const std::vector<MoveSet>& sets,
                    int64_t target) const;
  void JudgeCounterfactual(const torch::Tensor& x, const Explanation& explanation,
                           ServedExplanation* judged) const;

  const Stylex& model_;
  const StyleRanges ranges_;
  const ClassLists index_;
  const std::vector<Oracle>& oracles_;
  const uint64_t seed_;
};

MoveSet Judge::RandomMoves(int64_t count, std::mt19937_64* random) const {
  MoveSet moves;
  for (const Coordinate& coordinate : RandomCoordinates(ranges_.size(), count, random)) {
    moves.push_back({coordinate, 1});
  }
  return moves;
}

int64_t Judge::FlippedBy(const StyleVectors& styles, const std::vector<MoveSet>& sets,
                         int64_t target) const {
  std::vector<StyleVectors> moved;
  for (const MoveSet& moves : sets) {
    moved.push_back(ApplyMoves(styles, ranges_, moves));
  }
  const torch::Tensor images =
      Rendering::Png().Apply(model_.Synthesize(StyleVectors::Concatenate(moved)));
  return model_.Logits(images).argmax(1).eq(target).sum().item<int64_t>();
}

void Judge::JudgeCounterfactual(const torch::Tensor& x, const Explanation& explanation,
                                ServedExplanation* judged) const {
  const int64_t target = explanation.target;
  const torch::Tensor before = Rendering::Png().Apply(explanation.reconstruction.image);
  const torch::Tensor after = Rendering::Png().Apply(explanation.counterfactual.image);
  judged->moved = static_cast<int64_t>(explanation.moved.size());
  for (const Oracle& oracle : oracles_) {
    judged->follows.push_back(Decides(*oracle.classifier, after, target));
  }
  judged->after_median = Decides(MedianOf3x3(after), target);
  judged->encoded_anew = Decides(model_.Synthesize(Encoded(after)), target);
  judged->on_photograph = Decides(ChangeOnPhotograph(x, before, after), target);
  judged->changed_area = ChangedAreaPerImage(before, after, kVisibleChange).item<double>();
  judged->cout = Cout([&](const torch::Tensor& images) { return model_.Logits(images); }, before,
                      after, explanation.reconstruction.logits.argmax(1).item<int64_t>(), target);
}

absl::StatusOr<ServedExplanation> Judge::Of(const Bitmap& bitmap, int64_t number) const {
  const torch::Tensor x = BitmapToTensor(bitmap).to(model_.device());
  ServedExplanation judged;
  STYLEX_ASSIGN_OR_RETURN(const Explanation by_one, Ask(x, 1, 0));
  judged.one_attribute = by_one.flipped;
  const bool to_explain = by_one.outcome != ExplanationOutcome::kReconstructionAlreadyTarget;
  const StyleVectors styles = Encoded(x);
  std::mt19937_64 random(SeedFor(seed_, static_cast<uint64_t>(number), kRandomMove));
  if (to_explain) {
    std::vector<MoveSet> singles;
    for (int64_t i = 0; i < kRandomTries; ++i) {
      singles.push_back(RandomMoves(1, &random));
    }
    judged.random_flips = FlippedBy(styles, singles, by_one.target);
  }
  STYLEX_ASSIGN_OR_RETURN(const Explanation served, Ask(x, kDefaultMoves, kDefaultProbability));
  judged.convincing = served.outcome == ExplanationOutcome::kConvincing;
  if (judged.convincing) {
    JudgeCounterfactual(x, served, &judged);
    judged.random_as_many =
        FlippedBy(styles, {RandomMoves(judged.moved, &random)}, served.target) > 0;
  }
  return judged;
}

}  // namespace

absl::StatusOr<std::vector<ServedExplanation>> ExplainAsServed(const Checkpoint& checkpoint,
                                                               const Dataset& dataset,
                                                               const std::vector<Oracle>& oracles,
                                                               const ServedOptions& options,
                                                               Progress* progress) {
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  const Judge judge(checkpoint, oracles, options.seed);
  const std::vector<int64_t> order =
      DrawnIndices(dataset.size(Split::kValidation), options.seed, options.images);
  std::vector<std::optional<ServedExplanation>> judged(order.size());
  STYLEX_RETURN_IF_ERROR(
      OnEachImage(dataset, Split::kValidation, order, options.workers, "explanations", progress,
                  [&](const Bitmap& bitmap, size_t i) -> absl::Status {
                    STYLEX_ASSIGN_OR_RETURN(judged[i], judge.Of(bitmap, order[i]));
                    return absl::OkStatus();
                  }));
  std::vector<ServedExplanation> readable;
  for (const std::optional<ServedExplanation>& one : judged) {
    if (one.has_value()) {
      readable.push_back(*one);
    }
  }
  return readable;
}

}  // namespace stylex
