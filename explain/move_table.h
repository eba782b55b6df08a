// What a screened search knows of each move on each image: a first-order prediction always, the
// exact effect where it has been asked for.
#ifndef STYLEX_EXPLAIN_MOVE_TABLE_H_
#define STYLEX_EXPLAIN_MOVE_TABLE_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct MoveTableOptions {
  double shift = 1;
  int64_t batch_size = 64;
  Cancelled cancelled = nullptr;
};

// Moves are numbered direction * S + coordinate. Not thread-safe; works on all cores.
class MoveTable {
 public:
  MoveTable(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
            int64_t target, MoveTableOptions options);

  // Logits of the images and the predictions. CANCELLED when told so.
  absl::Status Predict();
  // Computes what is not known yet of `moves` on `images`.
  absl::Status Evaluate(std::span<const int64_t> images, std::span<const int64_t> moves);

  int64_t images() const { return images_; }
  int64_t moves() const { return moves_; }
  int64_t evaluations() const { return evaluations_; }
  Coordinate CoordinateOf(int64_t move) const {
    return {move % (moves_ / 2), static_cast<int>(move / (moves_ / 2))};
  }
  // The decision on the image itself; known after Predict.
  int64_t decided(int64_t image) const { return decided_[static_cast<size_t>(image)]; }
  // Changes of the target's logit.
  float predicted(int64_t image, int64_t move) const { return predicted_[At(image, move)]; }
  bool known(int64_t image, int64_t move) const { return known_[At(image, move)] != 0; }
  float exact(int64_t image, int64_t move) const { return exact_[At(image, move)]; }
  // The move makes the target the decision; where known.
  bool flips(int64_t image, int64_t move) const { return known_[At(image, move)] == kFlips; }

 private:
  static constexpr uint8_t kKnown = 1, kFlips = 2;

  size_t At(int64_t image, int64_t move) const {
    return static_cast<size_t>(image * moves_ + move);
  }
  absl::Status PredictPart(int64_t start, int64_t length);
  absl::Status EvaluateImage(int64_t image, std::span<const int64_t> moves, const Cancelled& stop);
  bool on_cpu() const { return model_.device().is_cpu(); }

  const Stylex& model_;
  const StyleVectors styles_;
  const StyleRanges& ranges_;
  const int64_t target_;
  const MoveTableOptions options_;
  const int64_t images_, moves_;
  std::vector<float> base_, predicted_, exact_;
  std::vector<uint8_t> known_;
  std::vector<int64_t> decided_;
  std::atomic<int64_t> evaluations_ = 0;
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_MOVE_TABLE_H_
