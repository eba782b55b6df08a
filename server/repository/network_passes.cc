#include "server/repository/network_passes.h"

#include <omp.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/status_macros.h"

namespace stylex {
namespace {

struct ClassifyItem {
  torch::Tensor image;
  torch::Tensor logits;
};
struct EncodeItem {
  torch::Tensor image;
  EncodedImage encoded;
};
struct StylesItem {
  torch::Tensor w;
  StyleVectors styles;
};
struct SynthesizeItem {
  StyleVectors styles;
  Rendering rendering;
  DrawnImage drawn;
};

template <class Item>
Item& At(void* item) {
  return *static_cast<Item*>(item);
}

// The items' tensors as one batch on the model's device.
template <class Item, class Member>
torch::Tensor Gather(std::span<void* const> items, const Member& member,
                     const torch::Device& device) {
  std::vector<torch::Tensor> tensors;
  for (void* item : items) {
    tensors.push_back(member(At<Item>(item)));
  }
  return (tensors.size() == 1 ? tensors.front() : torch::cat(tensors)).to(device);
}

torch::Tensor OnCpu(const torch::Tensor& tensor) { return tensor.to(torch::kCPU); }

// For a few small images, waking threads costs more than it saves: measured on two cores, eight
// images of 32x32 encode a sixth faster on one thread, and one image in 0.57 of the time.
constexpr int64_t kPixelsPerThread = int64_t{1} << 14;

// After a request for a single pass, searches leave one core free for this long, for the threads
// that deliver the answer and receive the next request; otherwise those wait until a search has
// finished its piece. Measured on two cores, docs/operating.md.
constexpr absl::Duration kInteractiveSpell = absl::Milliseconds(50);

// Computations of the calling thread use at most `most` threads while it exists. A pass that runs
// alone does so on its caller's thread, whose searches are to have all cores afterwards.
class FewThreads {
 public:
  // Asking LibTorch makes it initialise this thread now, which would override the setting later.
  explicit FewThreads(int64_t most) : before_(at::get_num_threads()) {
    omp_set_num_threads(static_cast<int>(std::min<int64_t>(most, before_)));
  }
  FewThreads(const FewThreads&) = delete;
  FewThreads& operator=(const FewThreads&) = delete;
  ~FewThreads() { omp_set_num_threads(before_); }

 private:
  const int before_;
};

// A pass through one model, without gradients, on a number of threads that depends on the number of
// pixels.
class NetworkPass : public BatchedPass {
 public:
  explicit NetworkPass(const Stylex& model) : model_(model) {}
  bool RunsAlone() const final { return model_.device().is_cpu() && WorthThreads(1) <= 1; }
  void Run(std::span<void* const> items) final {
    const torch::NoGradGuard no_grad;
    std::optional<FewThreads> threads;
    if (model_.device().is_cpu()) {
      threads.emplace(WorthThreads(static_cast<int64_t>(items.size())));
    }
    Compute(items);
  }

 protected:
  virtual void Compute(std::span<void* const> items) = 0;

  const Stylex& model_;

 private:
  int64_t WorthThreads(int64_t images) const {
    const int64_t side = model_.config().resolution();
    return std::max<int64_t>(images * side * side / kPixelsPerThread, 1);
  }
};

class ClassifyPass : public NetworkPass {
 public:
  using NetworkPass::NetworkPass;
  const char* stage() const override { return "classify"; }

 private:
  void Compute(std::span<void* const> items) override {
    const torch::Tensor images = Gather<ClassifyItem>(
        items, [](const ClassifyItem& item) { return item.image; }, model_.device());
    const torch::Tensor logits = OnCpu(model_.Logits(images));
    for (size_t i = 0; i < items.size(); ++i) {
      At<ClassifyItem>(items[i]).logits = logits.narrow(0, static_cast<int64_t>(i), 1);
    }
  }
};

class EncodePass : public NetworkPass {
 public:
  using NetworkPass::NetworkPass;
  const char* stage() const override { return "encode"; }

 private:
  void Compute(std::span<void* const> items) override {
    const torch::Tensor images = Gather<EncodeItem>(
        items, [](const EncodeItem& item) { return item.image; }, model_.device());
    const torch::Tensor logits = model_.Logits(images);
    const torch::Tensor w = model_.Encode(images, logits);
    const StyleVectors styles = model_.Styles(w);
    const EncodedImage all = {OnCpu(logits), OnCpu(w), {OnCpu(styles.conv), OnCpu(styles.rgb)}};
    for (size_t i = 0; i < items.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      At<EncodeItem>(items[i]).encoded = {all.logits.narrow(0, n, 1), all.w.narrow(0, n, 1),
                                          all.styles.Narrow(n, 1)};
    }
  }
};

class StylesPass : public NetworkPass {
 public:
  using NetworkPass::NetworkPass;
  const char* stage() const override { return "styles"; }

 private:
  void Compute(std::span<void* const> items) override {
    const auto w_of = [](const StylesItem& item) { return item.w; };
    const StyleVectors styles = model_.Styles(Gather<StylesItem>(items, w_of, model_.device()));
    const StyleVectors all = {OnCpu(styles.conv), OnCpu(styles.rgb)};
    for (size_t i = 0; i < items.size(); ++i) {
      At<StylesItem>(items[i]).styles = all.Narrow(static_cast<int64_t>(i), 1);
    }
  }
};

class SynthesizePass : public NetworkPass {
 public:
  using NetworkPass::NetworkPass;
  const char* stage() const override { return "synthesize"; }

 private:
  void Compute(std::span<void* const> items) override {
    using Item = SynthesizeItem;
    const auto conv_of = [](const Item& item) { return item.styles.conv; };
    const auto rgb_of = [](const Item& item) { return item.styles.rgb; };
    const StyleVectors styles = {Gather<Item>(items, conv_of, model_.device()),
                                 Gather<Item>(items, rgb_of, model_.device())};
    const torch::Tensor images = model_.Synthesize(styles);
    std::vector<torch::Tensor> rendered;
    for (size_t i = 0; i < items.size(); ++i) {
      rendered.push_back(
          At<Item>(items[i]).rendering.Apply(images.narrow(0, static_cast<int64_t>(i), 1)));
    }
    const DrawnImage all = {OnCpu(images), OnCpu(model_.Logits(torch::cat(rendered)))};
    for (size_t i = 0; i < items.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      At<Item>(items[i]).drawn = {all.image.narrow(0, n, 1), all.logits.narrow(0, n, 1)};
    }
  }
};

}  // namespace

NetworkPasses::NetworkPasses(const Stylex* model)
    : classify_(std::make_unique<ClassifyPass>(*model)),
      encode_(std::make_unique<EncodePass>(*model)),
      styles_(std::make_unique<StylesPass>(*model)),
      synthesize_(std::make_unique<SynthesizePass>(*model)) {}

NetworkPasses::~NetworkPasses() = default;

absl::Status SharedNetworks::Compute(BatchedPass* pass, void* item) {
  device_.cores().LeaveACoreFor(kInteractiveSpell);
  return device_.Compute(pass, item, [this] { return !cancellation_.stopped(); });
}

absl::StatusOr<torch::Tensor> SharedNetworks::Logits(const torch::Tensor& image) {
  ClassifyItem item = {.image = image, .logits = {}};
  STYLEX_RETURN_IF_ERROR(Compute(passes_.classify(), &item));
  return item.logits;
}

absl::StatusOr<EncodedImage> SharedNetworks::Encode(const torch::Tensor& image) {
  EncodeItem item = {.image = image, .encoded = {}};
  STYLEX_RETURN_IF_ERROR(Compute(passes_.encode(), &item));
  return item.encoded;
}

absl::StatusOr<StyleVectors> SharedNetworks::Styles(const torch::Tensor& w) {
  StylesItem item = {.w = w, .styles = {}};
  STYLEX_RETURN_IF_ERROR(Compute(passes_.styles(), &item));
  return item.styles;
}

absl::StatusOr<DrawnImage> SharedNetworks::Synthesize(const StyleVectors& styles,
                                                      const Rendering& rendering) {
  SynthesizeItem item = {.styles = styles, .rendering = rendering, .drawn = {}};
  STYLEX_RETURN_IF_ERROR(Compute(passes_.synthesize(), &item));
  return item.drawn;
}

}  // namespace stylex
