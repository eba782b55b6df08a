#include "explain/image_variants.h"

#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <utility>

#include "base/status_macros.h"
#include "explain/side_by_side.h"

namespace stylex {
namespace {

// Largest activation of a generator batch on the CPU, so that it fits into the caches.
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
  TORCH_CHECK(options_.control.batch_size > 0, "batch size ", options_.control.batch_size);
  values_ = styles.conv[0].to(torch::kCPU, torch::kFloat32).contiguous();
  if (OnCpu() && !model.has_components()) {
    OnOneCore([&] { singles_.emplace(model.Plan(), model.ChannelStyles(styles)); });
  }
}

const SynthesisTrace& ImageVariants::Trace() const {
  if (!trace_) {
    OnOneCore([this] { trace_ = model_.Trace(styles_); });
  }
  return *trace_;
}

torch::Tensor ImageVariants::BaseLogits() const {
  torch::NoGradGuard no_grad;
  torch::Tensor logits;
  OnOneCore([&] {
    const torch::Tensor image = singles_                  ? singles_->image().clamp(-1, 1)
                                : model_.has_components() ? model_.Synthesize(styles_)
                                                          : Trace().image.clamp(-1, 1);
    logits = model_.Logits(options_.rendering.Apply(image))[0].to(torch::kCPU);
  });
  return logits;
}

float ImageVariants::MovedValue(const Move& move) const {
  const float value = values_.data_ptr<float>()[move.coordinate.index];
  return value + (ranges_.Extreme(move.coordinate) - value) * static_cast<float>(move.shift);
}

int64_t ImageVariants::BatchFor(int64_t layer) const {
  if (!OnCpu()) {
    return options_.control.batch_size;
  }
  const int64_t fitting = kActivationBytes / model_.Plan()->BytesPerImage(layer);
  return std::clamp<int64_t>(fitting, 1, options_.control.batch_size);
}

torch::Tensor ImageVariants::Draw(const Batch& batch, std::span<const MoveSet> variants,
                                  std::span<const int64_t> chosen) const {
  if (!batch.single) {
    const StyleVectors styles = StylesOf(variants, chosen);
    return batch.layer == 0 ? model_.Synthesize(styles)
                            : model_.SynthesizeFrom(batch.layer, *trace_, styles);
  }
  const StyleLayout& layout = model_.layout();
  std::vector<StyleChange> changes;
  for (const int64_t v : chosen) {
    const Move& move = variants[v][0];
    const int64_t index = move.coordinate.index;
    changes.push_back({layout.LayerOf(index), layout.ChannelOf(index), MovedValue(move)});
  }
  return singles_->Draw(changes).clamp(-1, 1);
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
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const std::vector<Batch> batches = MakeBatches(variants, &order);
  if (std::any_of(batches.begin(), batches.end(),
                  [](const Batch& b) { return !b.single && b.layer > 0; })) {
    Trace();
  }
  torch::Tensor logits = torch::empty({count, model_.num_classes()});
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int64_t> unreported = 0;
  const auto classify = [&](int64_t i, const GiveWay&) {
    const torch::NoGradGuard no_grad_here;
    const Batch& batch = batches[static_cast<size_t>(i)];
    const std::span<const int64_t> chosen(&order[batch.start], batch.length);
    const torch::Tensor part =
        model_.Logits(options_.rendering.Apply(Draw(batch, variants, chosen)));
    const torch::Tensor rows = torch::tensor(at::ArrayRef<int64_t>(chosen.data(), chosen.size()));
    logits.index_copy_(0, rows, part.to(torch::kCPU));  // rows of this batch only
    unreported += batch.length;
    if (options_.classified && std::this_thread::get_id() == caller) {
      options_.classified(unreported.exchange(0));
    }
    return absl::OkStatus();
  };
  STYLEX_RETURN_IF_ERROR(SideBySide(static_cast<int64_t>(batches.size()),
                                    /*parallel=*/OnCpu(), options_.control, classify,
                                    Pieces::kBrief));
  if (const int64_t left = unreported.exchange(0); left > 0 && options_.classified) {
    options_.classified(left);
  }
  return logits;
}

// Sorts `order` so that variants that share work are adjacent: single moves by coordinate, with its
// two directions together, and the others by layer. Cuts it into batches, smaller ones if there are
// few variants, so that each core gets some.
std::vector<ImageVariants::Batch> ImageVariants::MakeBatches(std::span<const MoveSet> variants,
                                                             std::vector<int64_t>* order) const {
  struct Key {
    bool several;
    int64_t layer, coordinate;
    auto operator<=>(const Key&) const = default;
  };
  std::vector<Key> keys;
  for (const MoveSet& moves : variants) {
    const bool single = singles_ && moves.size() == 1;
    keys.push_back({!single, FirstLayer(moves), single ? moves[0].coordinate.index : 0});
  }
  std::stable_sort(order->begin(), order->end(),
                   [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
  const int64_t count = static_cast<int64_t>(order->size());
  const int64_t cores = OnCpu() ? at::get_num_threads() : 1;
  const int64_t fair = std::max<int64_t>(1, (count + cores - 1) / cores);
  std::vector<Batch> batches;
  for (int64_t start = 0; start < count;) {
    const Key& key = keys[(*order)[start]];
    const int64_t most = std::min(BatchFor(key.layer), fair);
    // Single moves of different layers share a batch; others must start from the same layer.
    const auto fits = [&](const Key& other) {
      return other.several == key.several && (!key.several || other.layer == key.layer);
    };
    int64_t end = start;
    while (end < count && end - start < most && fits(keys[(*order)[end]])) {
      ++end;
    }
    batches.push_back({!key.several, key.layer, start, end - start});
    start = end;
  }
  return batches;
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
