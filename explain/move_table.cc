#include "explain/move_table.h"

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "explain/image_variants.h"
#include "explain/side_by_side.h"

namespace stylex {
namespace {

// Images per backward pass.
constexpr int64_t kGradientBatch = 8;

}  // namespace

MoveTable::MoveTable(int64_t images, int64_t moves, bool side_by_side, SearchControl control)
    : images_(images),
      moves_(moves),
      side_by_side_(side_by_side),
      control_(std::move(control)),
      predicted_(static_cast<size_t>(images_ * moves_)),
      exact_(predicted_.size()),
      known_(predicted_.size()),
      decided_(static_cast<size_t>(images_)) {}

absl::Status MoveTable::Predict() {
  const int64_t parts = (images_ + kGradientBatch - 1) / kGradientBatch;
  return SideBySide(parts, side_by_side_, control_, [this](int64_t part, const GiveWay&) {
    const int64_t start = part * kGradientBatch;
    const int64_t length = std::min(kGradientBatch, images_ - start);
    evaluations_ += length;
    return PredictImages(
        start, length,
        std::span(decided_).subspan(static_cast<size_t>(start), static_cast<size_t>(length)),
        std::span(predicted_).subspan(At(start, 0), static_cast<size_t>(length * moves_)));
  });
}

absl::Status MoveTable::Evaluate(std::span<const int64_t> images, std::span<const int64_t> moves) {
  return SideBySide(static_cast<int64_t>(images.size()), side_by_side_, control_,
                    [&](int64_t i, const GiveWay& within) {
                      return EvaluateUnknown(images[static_cast<size_t>(i)], moves, within);
                    });
}

absl::Status MoveTable::EvaluateUnknown(int64_t image, std::span<const int64_t> moves,
                                        const GiveWay& within) {
  std::vector<int64_t> wanted;
  std::copy_if(moves.begin(), moves.end(), std::back_inserter(wanted),
               [&](int64_t move) { return !known(image, move); });
  if (wanted.empty()) {
    return absl::OkStatus();
  }
  STYLEX_ASSIGN_OR_RETURN(const std::vector<Outcome> outcomes,
                          EvaluateImage(image, wanted, within));
  for (size_t i = 0; i < wanted.size(); ++i) {
    exact_[At(image, wanted[i])] = outcomes[i].change;
    known_[At(image, wanted[i])] = outcomes[i].flips ? kFlips : kKnown;
  }
  evaluations_ += static_cast<int64_t>(wanted.size());
  return absl::OkStatus();
}

ModelMoves::ModelMoves(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                       int64_t target, double shift, SearchControl control)
    : MoveTable(styles.conv.size(0), 2 * ranges.size(), model.device().is_cpu(),
                std::move(control)),
      model_(model),
      styles_(styles),
      ranges_(ranges),
      target_(target),
      shift_(shift),
      base_(static_cast<size_t>(images())) {}

absl::Status ModelMoves::PredictImages(int64_t start, int64_t length, std::span<int64_t> decided,
                                       std::span<float> predicted) {
  const StyleVectors part = styles_.Narrow(start, length);
  torch::Tensor gradient, base, decisions;
  {
    const torch::AutoGradMode with_gradients(true);
    const torch::Tensor conv = part.conv.detach().clone().requires_grad_(true);
    const torch::Tensor logits = model_.LogitsOfStyles({conv, part.rgb.detach()});
    const torch::Tensor of_target = logits.select(1, target_);
    gradient = torch::autograd::grad({of_target.sum()}, {conv})[0].to(torch::kCPU);
    base = of_target.detach().to(torch::kCPU).contiguous();
    decisions = logits.argmax(1).to(torch::kCPU);
  }
  const torch::NoGradGuard no_grad;
  const torch::Tensor values = part.conv.detach().to(torch::kCPU);
  const torch::Tensor effects =
      torch::cat({gradient * (ranges_.min - values), gradient * (ranges_.max - values)}, 1)
          .mul_(shift_)
          .contiguous();
  std::copy_n(base.data_ptr<float>(), length, base_.begin() + start);
  std::copy_n(effects.data_ptr<float>(), predicted.size(), predicted.begin());
  std::copy_n(decisions.data_ptr<int64_t>(), length, decided.begin());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MoveTable::Outcome>> ModelMoves::EvaluateImage(
    int64_t image, std::span<const int64_t> moves, const GiveWay& within) {
  std::vector<Coordinate> coordinates;
  std::transform(moves.begin(), moves.end(), std::back_inserter(coordinates),
                 [this](int64_t move) { return CoordinateOf(move); });
  const torch::NoGradGuard no_grad;
  const ImageVariants variants(
      model_, ranges_, styles_.Narrow(image, 1),
      {.control = {
           .batch_size = control().batch_size, .give_way = within, .cores = control().cores}});
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits,
                          variants.LogitsOfSingles(coordinates, shift_));
  const torch::Tensor decided = logits.argmax(1);
  std::vector<Outcome> outcomes;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    outcomes.push_back({logits[i][target_].item<float>() - base_[static_cast<size_t>(image)],
                        decided[i].item<int64_t>() == target_});
  }
  return outcomes;
}

}  // namespace stylex
