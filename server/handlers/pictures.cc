#include "server/handlers/pictures.h"

#include <torch/types.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "explain/reconstruction_errors.h"
#include "image/photograph.h"
#include "image/resize.h"
#include "models/checkpoint/model_config.h"
#include "models/pixels.h"
#include "server/rpc/errors.h"

namespace stylex {
namespace {

// IPTC's term for pictures that a trained network generated.
constexpr char kSyntheticSource[] =
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

constexpr int kDefaultJpegQuality = 90;

int QualityOf(const v1::OutputFormat& format) {
  return format.quality() == 0 ? kDefaultJpegQuality : format.quality();
}

}  // namespace

absl::StatusOr<Bitmap> DecodeBitmap(const v1::Image& image, const ServedModel& model,
                                    const DecodeLimits& limits) {
  const Preparation preparation = PreparationFor(model.model().config());
  std::shared_ptr<const void> memory;  // until the bitmap is gone
  if (limits.memory != nullptr) {
    STYLEX_ASSIGN_OR_RETURN(const int64_t bytes, DecodingBytes(image.data(), preparation, limits));
    STYLEX_ASSIGN_OR_RETURN(memory, limits.memory->Reserve(bytes));
  }
  return ReadPhotograph(image.data(), preparation, limits);
}

absl::StatusOr<torch::Tensor> DecodePicture(const v1::Image& image, const ServedModel& model,
                                            const DecodeLimits& limits) {
  STYLEX_ASSIGN_OR_RETURN(const Bitmap bitmap, DecodeBitmap(image, model, limits));
  return BitmapToTensor(bitmap);
}

absl::StatusOr<torch::Tensor> ReadPicture(const v1::Image& image, const std::string& field,
                                          const ServedModel& model, const DecodeLimits& limits) {
  absl::StatusOr<torch::Tensor> picture = DecodePicture(image, model, limits);
  if (!picture.ok() && !absl::IsCancelled(picture.status())) {
    const Fault fault = {absl::StrCat(field, ".data"), std::string(picture.status().message())};
    return absl::IsResourceExhausted(picture.status()) ? TooLargeError(fault)
                                                       : InvalidRequestError({&fault, 1});
  }
  return picture;
}

absl::Status CheckDrawable(const torch::Tensor& images, const torch::Tensor& logits,
                           const std::string& field) {
  if (images.isfinite().all().item<bool>() && logits.isfinite().all().item<bool>()) {
    return absl::OkStatus();
  }
  const Fault fault = {field, "holds values so large that no image can be drawn"};
  return InvalidRequestError({&fault, 1});
}

Rendering RenderingOf(const v1::OutputFormat& format) {
  if (format.encoding() != v1::OutputFormat::ENCODING_JPEG) {
    return Rendering::Png();
  }
  return Rendering::Jpeg(QualityOf(format));
}

PictureWriter::PictureWriter(const v1::OutputFormat& format, const std::string& model_id)
    : format_(format), model_id_(model_id) {}

absl::StatusOr<v1::Image> PictureWriter::Write(const torch::Tensor& image) const {
  return Write(TensorToBitmap(image));
}

absl::StatusOr<v1::Image> PictureWriter::Write(const Bitmap& bitmap) const {
  v1::Image out;
  if (format_.encoding() == v1::OutputFormat::ENCODING_JPEG) {
    STYLEX_ASSIGN_OR_RETURN(*out.mutable_data(), EncodeJpeg(bitmap, QualityOf(format_)));
    return out;
  }
  const std::vector<PngText> text = {
      {"Software", "stylex-server"},
      {"Comment", absl::StrCat("Synthetic image, drawn by the StylEx model ", model_id_)},
      {"DigitalSourceType", kSyntheticSource}};
  STYLEX_ASSIGN_OR_RETURN(*out.mutable_data(), EncodePng(bitmap, text));
  return out;
}

v1::Prediction ToPrediction(const torch::Tensor& logits, const ServedModel& model) {
  const torch::Tensor flat =
      logits.detach().to(torch::kCPU, torch::kFloat32).flatten().contiguous();
  const torch::Tensor probabilities =
      torch::softmax(flat / model.model().probability_temperature(), 0);
  const int64_t best = flat.argmax().item<int64_t>();
  v1::Prediction out;
  out.mutable_logits()->Assign(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  out.mutable_probabilities()->Assign(probabilities.data_ptr<float>(),
                                      probabilities.data_ptr<float>() + flat.numel());
  out.set_class_id(static_cast<int32_t>(best));
  out.set_label(model.shape().labels[best]);
  return out;
}

v1::ReconstructionQuality CompareImages(const torch::Tensor& given, const torch::Tensor& drawn,
                                        const torch::Tensor& given_logits,
                                        const torch::Tensor& drawn_logits,
                                        const ServedModel& model) {
  v1::ReconstructionQuality out;
  out.set_l1(L1PerImage(given, drawn).item<double>());
  out.set_psnr(PsnrPerImage(given, drawn).item<double>());
  out.set_ssim(SsimPerImage(given, drawn).item<double>());
  out.set_kl(KlPerImage(given_logits, drawn_logits).item<double>());
  out.set_same_class(given_logits.argmax(1).item<int64_t>() ==
                     drawn_logits.argmax(1).item<int64_t>());
  if (const std::optional<double> percentile =
          PercentileOf(model.model().config().reconstruction_errors(),
                       {.l1 = out.l1(), .ssim = out.ssim(), .kl = out.kl()})) {
    out.set_percentile(*percentile);
    out.set_unlike_training(*percentile > kUnlikeTraining);
  }
  return out;
}

}  // namespace stylex
