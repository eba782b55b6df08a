#include "trainer/encoded_images.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "base/status_macros.h"
#include "models/pixels.h"
#include "trainer/batch_loader.h"

namespace stylex {
namespace {

constexpr size_t kEncodingBatch = 128;

}  // namespace

absl::StatusOr<EncodedImages> EncodeImages(const Stylex& model, const Dataset& dataset, Split split,
                                           int64_t count, uint64_t seed, Run* run) {
  torch::NoGradGuard no_grad;
  const std::vector<int64_t> order = DrawnIndices(dataset.size(split), seed, count);
  std::vector<int64_t> indices, labels;
  std::vector<torch::Tensor> logits;
  std::vector<StyleVectors> styles;
  std::vector<Bitmap> bitmaps;
  run->StartProgress("encoding", 0, static_cast<int64_t>(order.size()));
  for (size_t i = 0; i < order.size(); ++i) {
    if (absl::StatusOr<Bitmap> bitmap = dataset.Load(split, order[i]); bitmap.ok()) {
      bitmaps.push_back(*std::move(bitmap));
      indices.push_back(order[i]);
      labels.push_back(dataset.label(split, order[i]));
    } else {
      run->Warn("left out: " + std::string(bitmap.status().message()));
    }
    if (bitmaps.size() == kEncodingBatch || (i + 1 == order.size() && !bitmaps.empty())) {
      const torch::Tensor x = BitmapsToTensor(bitmaps).to(model.device());
      const torch::Tensor of_photographs = model.Logits(x);
      styles.push_back(model.Styles(model.Encode(x, of_photographs)));
      logits.push_back(of_photographs.to(torch::kCPU));
      bitmaps.clear();
      run->Progress(static_cast<int64_t>(i + 1), "");
    }
  }
  run->EndProgress();
  if (styles.empty()) {
    return absl::NotFoundError("not one image of the split can be read");
  }
  return EncodedImages{torch::tensor(indices), torch::tensor(labels), torch::cat(logits),
                       StyleVectors::Concatenate(styles)};
}

}  // namespace stylex
