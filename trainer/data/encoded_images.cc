#include "trainer/data/encoded_images.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "base/status_macros.h"
#include "explain/decisions.h"
#include "models/pixels.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

constexpr size_t kEncodingBatch = 128;
constexpr uint64_t kSampledTraining = 71;  // purposes of random numbers, see SeedFor
constexpr uint64_t kSampledValidation = 72;

EncodedImages DrawnImages(const Stylex& model, Split split, int64_t count, uint64_t seed) {
  const uint64_t purpose = split == Split::kTrain ? kSampledTraining : kSampledValidation;
  EncodedImages images;
  images.styles = SampleStyles(model, count, SeedFor(seed, 0, purpose));
  images.logits = LogitsOf(model, images.styles);
  images.labels = images.logits.argmax(1);
  images.indices = torch::arange(count);
  return images;
}

}  // namespace

std::vector<Bitmap> DrawAll(const Stylex& model, const StyleVectors& styles) {
  std::vector<Bitmap> drawn;
  for (int64_t start = 0; start < styles.conv.size(0); start += kDrawBatch) {
    const int64_t length = std::min(kDrawBatch, styles.conv.size(0) - start);
    for (Bitmap& bitmap : TensorToBitmaps(model.Synthesize(styles.Narrow(start, length)))) {
      drawn.push_back(std::move(bitmap));
    }
  }
  return drawn;
}

StyleVectors SampleStyles(const Stylex& model, int64_t count, uint64_t seed) {
  const int64_t size = model.config().generator().latent_size();
  // On the CPU, so that the numbers do not depend on the device.
  const torch::Tensor z = torch::randn({count, size}, at::detail::createCPUGenerator(seed));
  return model.Styles(model.Map(z.to(model.device())));
}

absl::Status ForEachTrainingLatent(const Stylex& model, const Dataset& dataset, int64_t limit,
                                   const std::string& title, Progress* progress,
                                   const std::function<void(const torch::Tensor& w)>& visit) {
  const int64_t all = dataset.size(Split::kTrain);
  int64_t done = 0;
  progress->Start(title, 0, limit > 0 ? std::min(limit, all) : all);
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, Split::kTrain, kEncodingBatch, limit,
      [progress](const std::string& text) { progress->Warn(text); },
      [&](const Batch& batch) {
        const torch::Tensor images = batch.images.to(model.device());
        visit(model.Encode(images, model.Logits(images)));
        progress->Advance(done += batch.images.size(0), "");
        return absl::OkStatus();
      }));
  progress->End();
  return absl::OkStatus();
}

absl::StatusOr<EncodedImages> EncodeImages(const Stylex& model, const Dataset& dataset, Split split,
                                           int64_t count, uint64_t seed, Progress* progress) {
  torch::NoGradGuard no_grad;
  if (!model.has_encoder()) {
    return DrawnImages(model, split, count > 0 ? count : dataset.size(split), seed);
  }
  const std::vector<int64_t> order = DrawnIndices(dataset.size(split), seed, count);
  std::vector<int64_t> indices, labels;
  std::vector<torch::Tensor> logits;
  std::vector<StyleVectors> styles;
  std::vector<Bitmap> bitmaps;
  progress->Start("encoding", 0, static_cast<int64_t>(order.size()));
  for (size_t i = 0; i < order.size(); ++i) {
    if (absl::StatusOr<Bitmap> bitmap = dataset.Load(split, order[i]); bitmap.ok()) {
      bitmaps.push_back(*std::move(bitmap));
      indices.push_back(order[i]);
      labels.push_back(dataset.label(split, order[i]));
    } else {
      progress->Warn("left out: " + std::string(bitmap.status().message()));
    }
    if (bitmaps.size() == kEncodingBatch || (i + 1 == order.size() && !bitmaps.empty())) {
      const torch::Tensor x = BitmapsToTensor(bitmaps).to(model.device());
      const torch::Tensor of_photographs = model.Logits(x);
      styles.push_back(model.Styles(model.Encode(x, of_photographs)));
      logits.push_back(of_photographs.to(torch::kCPU));
      bitmaps.clear();
      progress->Advance(static_cast<int64_t>(i + 1), "");
    }
  }
  progress->End();
  if (styles.empty()) {
    return absl::NotFoundError("not one image of the split can be read");
  }
  return EncodedImages{torch::tensor(indices), torch::tensor(labels), torch::cat(logits),
                       StyleVectors::Concatenate(styles)};
}

}  // namespace stylex
