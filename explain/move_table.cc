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

// Images of one backward pass.
constexpr int64_t kGradientBatch = 8;

}  // namespace

MoveTable::MoveTable(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                     int64_t target, MoveTableOptions options)
    : model_(model),
      styles_(styles),
      ranges_(ranges),
      target_(target),
      options_(std::move(options)),
      images_(styles.conv.size(0)),
      moves_(2 * ranges.size()),
      base_(static_cast<size_t>(images_)),
      predicted_(static_cast<size_t>(images_ * moves_)),
      exact_(predicted_.size()),
      known_(predicted_.size()),
      decided_(static_cast<size_t>(images_)) {}

absl::Status MoveTable::Predict() {
  const int64_t parts = (images_ + kGradientBatch - 1) / kGradientBatch;
  return SideBySide(parts, on_cpu(), options_.cancelled, [this](int64_t part, const Cancelled&) {
    const int64_t start = part * kGradientBatch;
    return PredictPart(start, std::min(kGradientBatch, images_ - start));
  });
}

absl::Status MoveTable::PredictPart(int64_t start, int64_t length) {
  const StyleVectors part = styles_.Narrow(start, length);
  torch::Tensor gradient, base, decided;
  {
    const torch::AutoGradMode with_gradients(true);
    const torch::Tensor conv = part.conv.detach().clone().requires_grad_(true);
    const torch::Tensor logits = model_.LogitsOfStyles({conv, part.rgb.detach()});
    const torch::Tensor of_target = logits.select(1, target_);
    gradient = torch::autograd::grad({of_target.sum()}, {conv})[0].to(torch::kCPU);
    base = of_target.detach().to(torch::kCPU).contiguous();
    decided = logits.argmax(1).to(torch::kCPU);
  }
  const torch::NoGradGuard no_grad;
  const torch::Tensor values = part.conv.detach().to(torch::kCPU);
  const torch::Tensor effects =
      torch::cat({gradient * (ranges_.min - values), gradient * (ranges_.max - values)}, 1)
          .mul_(options_.shift)
          .contiguous();
  std::copy_n(base.data_ptr<float>(), length, base_.begin() + start);
  std::copy_n(effects.data_ptr<float>(), length * moves_, predicted_.begin() + start * moves_);
  std::copy_n(decided.data_ptr<int64_t>(), length, decided_.begin() + start);
  evaluations_ += length;
  return absl::OkStatus();
}

absl::Status MoveTable::Evaluate(std::span<const int64_t> images, std::span<const int64_t> moves) {
  return SideBySide(static_cast<int64_t>(images.size()), on_cpu(), options_.cancelled,
                    [&](int64_t i, const Cancelled& stop) {
                      return EvaluateImage(images[static_cast<size_t>(i)], moves, stop);
                    });
}

absl::Status MoveTable::EvaluateImage(int64_t image, std::span<const int64_t> moves,
                                      const Cancelled& stop) {
  std::vector<int64_t> wanted;
  std::vector<Coordinate> coordinates;
  for (const int64_t move : moves) {
    if (!known(image, move)) {
      wanted.push_back(move);
      coordinates.push_back(CoordinateOf(move));
    }
  }
  if (wanted.empty()) {
    return absl::OkStatus();
  }
  const torch::NoGradGuard no_grad;
  const ImageVariants variants(model_, ranges_, styles_.Narrow(image, 1),
                               {options_.batch_size, stop, nullptr});
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits,
                          variants.LogitsOfSingles(coordinates, options_.shift));
  const torch::Tensor decided = logits.argmax(1);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i);
    const size_t at = At(image, wanted[i]);
    exact_[at] = logits[row][target_].item<float>() - base_[static_cast<size_t>(image)];
    known_[at] = decided[row].item<int64_t>() == target_ ? kFlips : kKnown;
  }
  evaluations_ += static_cast<int64_t>(wanted.size());
  return absl::OkStatus();
}

}  // namespace stylex
