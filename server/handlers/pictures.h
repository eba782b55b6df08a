// Converts images of requests to tensors, and tensors to images of answers.
#ifndef STYLEX_SERVER_HANDLERS_PICTURES_H_
#define STYLEX_SERVER_HANDLERS_PICTURES_H_

#include <torch/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "image/codec.h"
#include "models/rendering.h"
#include "server/repository/served_model.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// Decodes, orients, crops and resizes: to the model's channels and resolution. Errors are
// DecodeImage's.
absl::StatusOr<Bitmap> DecodeBitmap(const v1::Image& image, const ServedModel& model,
                                    const DecodeLimits& limits);

// The same as a tensor, of four times its size: [1, C, R, R] in [-1, 1] on the CPU.
absl::StatusOr<torch::Tensor> DecodePicture(const v1::Image& image, const ServedModel& model,
                                            const DecodeLimits& limits);

// The same for the image field `field` of a request: INVALID_ARGUMENT or RESOURCE_EXHAUSTED (over
// the limits), with a violation for `field`.data.
absl::StatusOr<torch::Tensor> ReadPicture(const v1::Image& image, const std::string& field,
                                          const ServedModel& model, const DecodeLimits& limits);

// INVALID_ARGUMENT for `field` if its finite values are so large that the networks' outputs are not
// finite.
absl::Status CheckDrawable(const torch::Tensor& images, const torch::Tensor& logits,
                           const std::string& field);

// The rendering (models/rendering.h) that matches an output format.
Rendering RenderingOf(const v1::OutputFormat& format);

// Encodes synthesized images in the requested format. PNG files are marked as synthetic, with the
// model's name; JPEG files are not.
class PictureWriter {
 public:
  // A checked `format`; `model_id` is named in PNG files.
  PictureWriter(const v1::OutputFormat& format, const std::string& model_id);

  // One image, [C, R, R] or [1, C, R, R], in [-1, 1].
  absl::StatusOr<v1::Image> Write(const torch::Tensor& image) const;
  absl::StatusOr<v1::Image> Write(const Bitmap& bitmap) const;

 private:
  v1::OutputFormat format_;
  std::string model_id_;
};

// logits: [K] or [1, K], on any device. Probabilities are by the model's probability_temperature.
v1::Prediction ToPrediction(const torch::Tensor& logits, const ServedModel& model);

// Quality of the model's reconstruction `drawn` of the image `given`, [1, C, R, R] each, with the
// logits [1, K] of both.
v1::ReconstructionQuality CompareImages(const torch::Tensor& given, const torch::Tensor& drawn,
                                        const torch::Tensor& given_logits,
                                        const torch::Tensor& drawn_logits,
                                        const ServedModel& model);

}  // namespace stylex

#endif  // STYLEX_SERVER_HANDLERS_PICTURES_H_
