// What becomes of a drawn image in the file that it is delivered in. Decisions that an answer
// claims are made on this, because eight bits, and JPEG all the more, can change a decision.
#ifndef STYLEX_MODELS_RENDERING_H_
#define STYLEX_MODELS_RENDERING_H_

#include <torch/types.h>

#include "image/codec.h"

namespace stylex {

// Copyable, thread-safe.
class Rendering {
 public:
  // No file: images stay as they are drawn.
  Rendering() = default;
  // PNG: 8 bits a sample.
  static Rendering Png() { return Rendering(Kind::kPng, 0); }
  // quality: 1 to 100, else a CHECK fails.
  static Rendering Jpeg(int quality, JpegColors colors = JpegColors::kWhole);

  // Whether images stay as they are drawn.
  bool exact() const { return kind_ == Kind::kExact; }
  bool lossy() const { return kind_ == Kind::kJpeg; }

  // Images as the classifier gets them when their files are sent to it: [N, C, H, W] in [-1, 1], on
  // the same device. PNG: what BitmapToTensor makes of TensorToBitmap, to the bit; JPEG: the file
  // is encoded and decoded.
  torch::Tensor Apply(const torch::Tensor& images) const;

 private:
  enum class Kind { kExact, kPng, kJpeg };
  Rendering(Kind kind, int quality, JpegColors colors = JpegColors::kWhole)
      : kind_(kind), quality_(quality), colors_(colors) {}

  Kind kind_ = Kind::kExact;
  int quality_ = 0;
  JpegColors colors_ = JpegColors::kWhole;
};

}  // namespace stylex

#endif  // STYLEX_MODELS_RENDERING_H_
