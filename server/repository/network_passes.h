// One model's networks as requests use them: each call waits for the device and shares batches with
// other requests (server/scheduling/device_scheduler.h).
//
// Inputs and outputs are tensors on the CPU, one image each; the results of a batch are split into
// the requests' parts. A pass over several images gives the results of single passes, up to
// rounding. Thread-safe.
#ifndef STYLEX_SERVER_REPOSITORY_NETWORK_PASSES_H_
#define STYLEX_SERVER_REPOSITORY_NETWORK_PASSES_H_

#include <torch/types.h>

#include <memory>

#include "absl/status/statusor.h"
#include "models/rendering.h"
#include "models/stylex.h"
#include "server/rpc/cancellation.h"
#include "server/scheduling/device_scheduler.h"

namespace stylex {

// The kinds of passes of a model; lives as long as the model.
class NetworkPasses {
 public:
  // `model` must outlive this.
  explicit NetworkPasses(const Stylex* model);
  ~NetworkPasses();

  BatchedPass* classify() const { return classify_.get(); }
  BatchedPass* encode() const { return encode_.get(); }
  BatchedPass* styles() const { return styles_.get(); }
  BatchedPass* synthesize() const { return synthesize_.get(); }

 private:
  std::unique_ptr<BatchedPass> classify_, encode_, styles_, synthesize_;
};

struct EncodedImage {
  torch::Tensor logits;  // [1, K]
  torch::Tensor w;       // [1, W]
  StyleVectors styles;   // of one image
};
struct DrawnImage {
  torch::Tensor image;   // [1, C, R, R] in [-1, 1], as drawn
  torch::Tensor logits;  // [1, K]
};

// Functions return CANCELLED if the call was cancelled, and pass on LibTorch's exceptions.
class SharedNetworks {
 public:
  // All must outlive this.
  SharedNetworks(const NetworkPasses& passes, DeviceScheduler* device,
                 const Cancellation& cancellation)
      : passes_(passes), device_(*device), cancellation_(cancellation) {}

  absl::StatusOr<torch::Tensor> Logits(const torch::Tensor& image);  // [1, C, R, R] -> [1, K]
  // [1, C, R, R] in [-1, 1].
  absl::StatusOr<EncodedImage> Encode(const torch::Tensor& image);
  absl::StatusOr<StyleVectors> Styles(const torch::Tensor& w);  // [1, W]
  // Styles of one image. The logits are those of the image as `rendering` makes it.
  absl::StatusOr<DrawnImage> Synthesize(const StyleVectors& styles, const Rendering& rendering);

 private:
  absl::Status Compute(BatchedPass* pass, void* item);

  const NetworkPasses& passes_;
  DeviceScheduler& device_;
  const Cancellation& cancellation_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_REPOSITORY_NETWORK_PASSES_H_
