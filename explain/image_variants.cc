#include "explain/image_variants.h"

#include <torch/torch.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/status/status.h"

namespace stylex {
namespace {

// Largest activation of a generator batch on the CPU: what stays in the caches is computed with
// about twice as fast as what does not.
constexpr int64_t kActivationBytes = int64_t{4} << 20;

}  // namespace

ImageVariants::ImageVariants(const Stylex& model, const StyleRanges& ranges,
                             const StyleVectors& styles, VariantOptions options)
    : model_(model), ranges_(ranges), options_(std::move(options)), styles_(styles) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(styles.conv.dim() == 2 && styles.conv.size(0) == 1, "styles of shape ",
              styles.conv.sizes(), "; expected one image's, [1, S]");
  TORCH_CHECK(ranges.size() == styles.conv.size(1), "ranges of ", ranges.size(),
              " coordinates for styles of ", styles.conv.size(1));
  TORCH_CHECK(options_.batch_size > 0, "batch size ", options_.batch_size);
  values_ = styles.conv[0].to(torch::kCPU, torch::kFloat32).contiguous();
  if (model.device().is_cpu()) {
    singles_.emplace(model.Plan(), styles);
  }
}

const SynthesisTrace& ImageVariants::Trace() const {
  if (!trace_) {
    trace_ = model_.Trace(styles_);
  }
  return *trace_;
}

torch::Tensor ImageVariants::BaseLogits() const {
  torch::NoGradGuard no_grad;
  const torch::Tensor image = singles_ ? singles_->image() : Trace().image;
  return model_.Logits(image.clamp(-1, 1))[0].to(torch::kCPU);
}

float ImageVariants::MovedValue(const Move& move) const {
  const float value = values_.data_ptr<float>()[move.coordinate.index];
  return value + (ranges_.Extreme(move.coordinate) - value) * static_cast<float>(move.shift);
}

int64_t ImageVariants::BatchFor(int64_t layer) const {
  if (!singles_) {
    return options_.batch_size;
  }
  const int64_t fitting = kActivationBytes / singles_->BytesPerVariant(layer);
  return std::clamp<int64_t>(fitting, 1, options_.batch_size);
}

torch::Tensor ImageVariants::Draw(int64_t layer, std::span<const MoveSet> variants,
                                  std::span<const int64_t> chosen) const {
  const bool single = std::all_of(chosen.begin(), chosen.end(),
                                  [&](int64_t v) { return variants[v].size() == 1; });
  if (!singles_ || !single) {
    return model_.SynthesizeFrom(layer, Trace(), StylesOf(variants, chosen));
  }
  const int64_t offset = model_.layout().Offset(layer);
  std::vector<StyleChange> changes;
  for (const int64_t v : chosen) {
    const Move& move = variants[v][0];
    changes.push_back({move.coordinate.index - offset, MovedValue(move)});
  }
  return singles_->Draw(layer, changes).clamp(-1, 1);
}

int64_t ImageVariants::FirstLayer(const MoveSet& moves) const {
  const StyleLayout& layout = model_.layout();
  int64_t layer = static_cast<int64_t>(layout.conv.size()) - 1;
  for (const Move& move : moves) {
    layer = std::min(layer, layout.LayerOf(move.coordinate.index));
  }
  return layer;
}

StyleVectors ImageVariants::StylesOf(std::span<const MoveSet> variants,
                                     std::span<const int64_t> chosen) const {
  std::vector<int64_t> rows, columns;
  std::vector<float> moved;
  for (size_t row = 0; row < chosen.size(); ++row) {
    for (const Move& move : variants[chosen[row]]) {
      rows.push_back(static_cast<int64_t>(row));
      columns.push_back(move.coordinate.index);
      moved.push_back(MovedValue(move));
    }
  }
  StyleVectors styles = styles_.Expand(static_cast<int64_t>(chosen.size()));
  if (!rows.empty()) {
    const torch::Device device = styles.conv.device();
    styles.conv = styles.conv.clone();
    styles.conv.index_put_({torch::tensor(rows).to(device), torch::tensor(columns).to(device)},
                           torch::tensor(moved).to(device));
  }
  return styles;
}

absl::StatusOr<torch::Tensor> ImageVariants::Logits(std::span<const MoveSet> variants) const {
  torch::NoGradGuard no_grad;
  const int64_t count = static_cast<int64_t>(variants.size());
  std::vector<int64_t> layers(count);
  std::transform(variants.begin(), variants.end(), layers.begin(),
                 [this](const MoveSet& moves) { return FirstLayer(moves); });
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  // Both directions of a coordinate next to one another: they share work.
  const auto key = [&](int64_t v) {
    return std::pair(layers[v], variants[v].size() == 1 ? variants[v][0].coordinate.index : -1);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return key(a) < key(b); });

  torch::Tensor logits = torch::empty({count, model_.num_classes()});
  std::vector<torch::Tensor> images;  // drawn, not yet classified
  int64_t classified = 0;
  for (int64_t start = 0; start < count;) {
    if (options_.cancelled && options_.cancelled()) {
      return absl::CancelledError("the search was cancelled");
    }
    const int64_t layer = layers[order[start]];
    int64_t end = start;
    const int64_t batch = BatchFor(layer);
    while (end < count && end - start < batch && layers[order[end]] == layer) {
      ++end;
    }
    const std::span<const int64_t> chosen(&order[start], end - start);
    images.push_back(Draw(layer, variants, chosen));
    start = end;
    if (end - classified >= options_.batch_size || end == count) {
      const torch::Tensor rows =
          torch::tensor(at::ArrayRef<int64_t>(&order[classified], end - classified));
      logits.index_copy_(0, rows, model_.Logits(torch::cat(images)).to(torch::kCPU));
      images.clear();
      if (options_.classified) {
        options_.classified(end - classified);
      }
      classified = end;
    }
  }
  return logits;
}

absl::StatusOr<torch::Tensor> ImageVariants::LogitsOfSingles(
    std::span<const Coordinate> coordinates, double shift) const {
  std::vector<MoveSet> variants;
  variants.reserve(coordinates.size());
  for (const Coordinate& coordinate : coordinates) {
    variants.push_back({{coordinate, shift}});
  }
  return Logits(variants);
}

}  // namespace stylex
