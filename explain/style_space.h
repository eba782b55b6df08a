// Style space as AttFind searches it: each coordinate's range over the training images, and moves
// of coordinates towards their extremes (StylEx, Lang et al. 2021, §3.2).
#ifndef STYLEX_EXPLAIN_STYLE_SPACE_H_
#define STYLEX_EXPLAIN_STYLE_SPACE_H_

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "models/networks/generator.h"
#include "stylex/v1/attribute_index.pb.h"

namespace stylex {

// One coordinate and a direction: 0 towards min, 1 towards max, as in the released code.
struct Coordinate {
  int64_t index = 0;
  int direction = 1;

  bool operator==(const Coordinate&) const = default;
};
// Every coordinate of a space of `size`, first all towards min, then all towards max.
std::vector<Coordinate> AllMoves(int64_t size);
// 0: towards min, 1: towards max.
v1::Direction ToProto(int direction);
int DirectionFromProto(v1::Direction direction);  // unspecified: towards max
// The coordinate and direction of a stored attribute.
Coordinate ToCoordinate(const v1::Attribute& attribute);
// Fills the message's index, layer, channel and direction.
v1::Attribute ToAttribute(Coordinate coordinate, const StyleLayout& layout);

// For each class, the coordinates to move, strongest first.
using ClassLists = std::vector<std::vector<Coordinate>>;
// The index's attributes of each class.
ClassLists IndexLists(const v1::AttributeIndex& index, int64_t num_classes);

// Extremes and moments of every style coordinate; tensors [S], float32, on the CPU. min and max are
// the values that moves go towards; without the tails they are quantiles (see
// StyleRangeAccumulator).
struct StyleRanges {
  torch::Tensor min, max, mean, std;
  int64_t images = 0;

  // Number of coordinates.
  int64_t size() const { return min.size(0); }
  // The value that a coordinate is moved towards.
  float Extreme(Coordinate coordinate) const {
    const torch::Tensor& extremes = coordinate.direction == 0 ? min : max;
    return extremes.data_ptr<float>()[coordinate.index];
  }
};

// Collects ranges batch by batch.
class StyleRangeAccumulator {
 public:
  // `tails`: the share of the images, 0 <= tails < 0.5, that is left out at each end of a
  // coordinate's range. The paper takes the extremes (0). Of components, each of which alone
  // changes much of an image, the extremes are outliers: moved there, an image becomes one that the
  // generator was not trained on. With tails, the styles of all images are held in memory.
  explicit StyleRangeAccumulator(double tails = 0);
  void Add(const torch::Tensor& conv_styles);  // [N, S], on any device
  // CHECKs that something was added. `std` is the population standard deviation.
  StyleRanges Finish() const;

 private:
  double tails_;
  std::vector<torch::Tensor> all_;                  // only with tails
  torch::Tensor min_, max_, sum_, sum_of_squares_;  // moments in float64
  int64_t images_ = 0;
};

// The ranges that an index stores, float32 on the CPU.
StyleRanges RangesFromIndex(const v1::AttributeIndex& index);
// Replaces the ranges that `index` stores.
void RangesToIndex(const StyleRanges& ranges, v1::AttributeIndex* index);

// Moves a coordinate by `shift`: s' = s + shift * (extreme - s); 1 sets it to its extreme.
struct Move {
  Coordinate coordinate;
  double shift = 1;

  bool operator==(const Move&) const = default;
};
// A move by `shift` of each coordinate, in order.
std::vector<Move> MovesBy(double shift, std::span<const Coordinate> coordinates);
// Whether one of `moves` moves the coordinate with this index, in either direction.
bool IsMoved(int64_t index, std::span<const Move> moves);

// `styles` [1, ...] or [N, ...] with every move applied, each to the coordinate's value in `styles`
// (of two moves of one coordinate the later counts); the input is not modified.
StyleVectors ApplyMoves(const StyleVectors& styles, const StyleRanges& ranges,
                        std::span<const Move> moves);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_STYLE_SPACE_H_
