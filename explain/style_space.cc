#include "explain/style_space.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace stylex {

StyleRangeAccumulator::StyleRangeAccumulator(double tails) : tails_(tails) {
  TORCH_CHECK(tails >= 0 && tails < 0.5, "tails of ", tails, "; expected 0 <= tails < 0.5");
}

void StyleRangeAccumulator::Add(const torch::Tensor& conv_styles) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(conv_styles.dim() == 2, "styles of shape ", conv_styles.sizes(), "; expected [N, S]");
  if (conv_styles.size(0) == 0) {
    return;
  }
  const torch::Tensor styles = conv_styles.detach().to(torch::kCPU, torch::kFloat32);
  if (tails_ > 0) {
    all_.push_back(styles.clone());
  }
  const torch::Tensor low = styles.amin(0);
  const torch::Tensor high = styles.amax(0);
  const torch::Tensor wide = styles.to(torch::kFloat64);
  min_ = images_ == 0 ? low : torch::minimum(min_, low);
  max_ = images_ == 0 ? high : torch::maximum(max_, high);
  sum_ = images_ == 0 ? wide.sum(0) : sum_ + wide.sum(0);
  const torch::Tensor squares = wide.square().sum(0);
  sum_of_squares_ = images_ == 0 ? squares : sum_of_squares_ + squares;
  images_ += styles.size(0);
}

StyleRanges StyleRangeAccumulator::Finish() const {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(images_ > 0, "style ranges of no images");
  const double n = static_cast<double>(images_);
  const torch::Tensor mean = sum_ / n;
  const torch::Tensor variance = (sum_of_squares_ / n - mean.square()).clamp_min(0);
  StyleRanges ranges{min_, max_, mean.to(torch::kFloat32), variance.sqrt().to(torch::kFloat32),
                     images_};
  if (tails_ > 0) {
    // Sorted by hand: quantile() refuses more than 16 million values.
    const torch::Tensor sorted = std::get<0>(torch::cat(all_).sort(0));
    const auto left_out = static_cast<int64_t>(std::floor(tails_ * n));
    ranges.min = sorted[left_out].clone();
    ranges.max = sorted[images_ - 1 - left_out].clone();
  }
  return ranges;
}

StyleRanges RangesFromIndex(const v1::AttributeIndex& index) {
  const int64_t size = index.styles_size();
  StyleRanges ranges{torch::empty({size}), torch::empty({size}), torch::empty({size}),
                     torch::empty({size}), index.range_images()};
  for (int i = 0; i < index.styles_size(); ++i) {
    const v1::StyleRange& range = index.styles(i);
    ranges.min.data_ptr<float>()[i] = range.min();
    ranges.max.data_ptr<float>()[i] = range.max();
    ranges.mean.data_ptr<float>()[i] = range.mean();
    ranges.std.data_ptr<float>()[i] = range.std();
  }
  return ranges;
}

void RangesToIndex(const StyleRanges& ranges, v1::AttributeIndex* index) {
  const auto min = ranges.min.accessor<float, 1>();
  const auto max = ranges.max.accessor<float, 1>();
  const auto mean = ranges.mean.accessor<float, 1>();
  const auto std = ranges.std.accessor<float, 1>();
  index->clear_styles();
  for (int64_t i = 0; i < ranges.size(); ++i) {
    v1::StyleRange* range = index->add_styles();
    range->set_min(min[i]);
    range->set_max(max[i]);
    range->set_mean(mean[i]);
    range->set_std(std[i]);
  }
  index->set_range_images(static_cast<int32_t>(ranges.images));
}

std::vector<Coordinate> AllMoves(int64_t size) {
  std::vector<Coordinate> moves;
  moves.reserve(static_cast<size_t>(2 * size));
  for (int direction = 0; direction < 2; ++direction) {
    for (int64_t index = 0; index < size; ++index) {
      moves.push_back({index, direction});
    }
  }
  return moves;
}

v1::Direction ToProto(int direction) {
  return direction == 0 ? v1::DIRECTION_TO_MIN : v1::DIRECTION_TO_MAX;
}

int DirectionFromProto(v1::Direction direction) {
  return direction == v1::DIRECTION_TO_MIN ? 0 : 1;
}

Coordinate ToCoordinate(const v1::Attribute& attribute) {
  return {attribute.index(), DirectionFromProto(attribute.direction())};
}

v1::Attribute ToAttribute(Coordinate coordinate, const StyleLayout& layout) {
  v1::Attribute attribute;
  attribute.set_index(static_cast<int32_t>(coordinate.index));
  attribute.set_layer(static_cast<int32_t>(layout.LayerOf(coordinate.index)));
  attribute.set_channel(static_cast<int32_t>(layout.ChannelOf(coordinate.index)));
  attribute.set_direction(ToProto(coordinate.direction));
  return attribute;
}

ClassLists IndexLists(const v1::AttributeIndex& index, int64_t num_classes) {
  ClassLists lists(static_cast<size_t>(num_classes));
  for (const v1::ClassAttributes& of_class : index.classes()) {
    for (const v1::Attribute& attribute : of_class.attributes()) {
      lists[static_cast<size_t>(of_class.class_id())].push_back(ToCoordinate(attribute));
    }
  }
  return lists;
}

std::vector<Move> MovesBy(double shift, std::span<const Coordinate> coordinates) {
  std::vector<Move> moves;
  moves.reserve(coordinates.size());
  for (const Coordinate& coordinate : coordinates) {
    moves.push_back({coordinate, shift});
  }
  return moves;
}

bool IsMoved(int64_t index, std::span<const Move> moves) {
  return std::any_of(moves.begin(), moves.end(),
                     [index](const Move& move) { return move.coordinate.index == index; });
}

StyleVectors ApplyMoves(const StyleVectors& styles, const StyleRanges& ranges,
                        std::span<const Move> moves) {
  torch::NoGradGuard no_grad;
  StyleVectors moved{styles.conv.clone(), styles.rgb};
  for (const Move& move : moves) {
    const int64_t index = move.coordinate.index;
    TORCH_CHECK(index >= 0 && index < ranges.size(), "style coordinate ", index,
                " out of range; there are ", ranges.size());
    const double extreme = ranges.Extreme(move.coordinate);
    const torch::Tensor value = styles.conv.select(1, index);
    moved.conv.select(1, index).copy_(value + (extreme - value) * move.shift);
  }
  return moved;
}

}  // namespace stylex
