#include "trainer/training/quick_look.h"

#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/metrics.h"
#include "models/checkpoint/model_config.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/encoded_images.h"
#include "trainer/report/look.h"
#include "trainer/training/sample_grid.h"

namespace stylex {
namespace {

constexpr int64_t kGridColumns = 16;
constexpr int64_t kWorst = 8;        // reconstructions that are shown for being bad
constexpr int64_t kFewMoves = 10;    // coordinates moved in the quick check
constexpr int64_t kSampleRows = 4;   // of a plain StyleGAN2
constexpr uint64_t kSampleSeed = 1;  // the same z's in every grid

// What is told of single photographs of a look: of those that its sheet shows, and of the worst.
class Noticed {
 public:
  Noticed(const Dataset& dataset, const v1::ModelConfig& config)
      : dataset_(dataset), config_(config) {}

  // `l1` [N] is of `drawn`, the reconstructions of batch.images; all logits are [N, classes].
  void Add(const Batch& batch, const torch::Tensor& drawn, const torch::Tensor& l1,
           const std::vector<torch::Tensor>& logits) {
    std::vector<torch::Tensor> probabilities;
    for (const torch::Tensor& one : logits) {
      probabilities.push_back(one.softmax(1).to(torch::kCPU));
    }
    const torch::Tensor errors = l1.to(torch::kCPU);
    for (int64_t i = 0; i < drawn.size(0); ++i) {
      const bool shown = std::ssize(facts_.shown) < kGridColumns;
      const bool bad = std::ssize(worst_) < kWorst || errors[i].item<double>() > worst_.back().l1();
      if (!shown && !bad) {
        continue;
      }
      LookedPhotograph one = Tell(batch, i, errors[i].item<double>(), probabilities);
      if (shown) {
        facts_.shown.push_back(one);
      }
      if (bad) {
        AddWorst({std::move(one), batch.images[i], drawn[i].to(torch::kCPU)});
      }
    }
  }

  // Writes both beside the sheet of all.
  absl::Status Write(const std::string& work_directory, int64_t images) {
    std::vector<torch::Tensor> photographs, drawn;
    for (const Bad& bad : worst_) {
      facts_.worst.push_back(bad.told);
      photographs.push_back(bad.photograph);
      drawn.push_back(bad.drawn);
    }
    STYLEX_RETURN_IF_ERROR(WriteSampleGrid({torch::stack(photographs), torch::stack(drawn)},
                                           LookPath(work_directory, images, "-worst")));
    return WriteLookFacts(facts_, work_directory, images);
  }

 private:
  struct Bad {
    LookedPhotograph told;
    torch::Tensor photograph, drawn;  // [C, R, R]
    double l1() const { return told.l1; }
  };

  // Greatest error first; of equal ones the earlier photograph.
  void AddWorst(Bad bad) {
    const auto after = std::find_if(worst_.begin(), worst_.end(),
                                    [&](const Bad& other) { return other.l1() < bad.l1(); });
    worst_.insert(after, std::move(bad));
    worst_.resize(std::min<size_t>(worst_.size(), kWorst));
  }

  LookedDecision Decided(const torch::Tensor& probabilities, int64_t i) const {
    const auto [greatest, label] = probabilities[i].max(0);
    return {config_.labels(label.item<int>()), greatest.item<double>()};
  }

  LookedPhotograph Tell(const Batch& batch, int64_t i, double l1,
                        const std::vector<torch::Tensor>& probabilities) const {
    const torch::Tensor ranked = probabilities[0][i].argsort(0, /*descending=*/true);
    return {.name = dataset_.name(Split::kValidation, batch.indices[i].item<int64_t>()),
            .l1 = l1,
            .photograph = Decided(probabilities[0], i),
            .reconstruction = Decided(probabilities[1], i),
            .runner_up = config_.labels(ranked[1].item<int>()),
            .drawn_otherwise = Decided(probabilities[2], i)};
  }

  const Dataset& dataset_;
  const v1::ModelConfig& config_;
  LookFacts facts_;
  std::vector<Bad> worst_;
};

absl::Status DrawRows(std::vector<torch::Tensor> rows, const StylexTraining& training,
                      WorkDirectory* run) {
  for (torch::Tensor& row : rows) {
    row = row.narrow(0, 0, std::min(kGridColumns, row.size(0)));
  }
  std::filesystem::create_directories(run->Path("samples"));
  return WriteSampleGrid(rows, LookPath(run->path(), training.images_seen()));
}

// Writes a grid of images drawn from the same z's each time, and tells how many of them are decided
// as each class: attributes of classes that are never drawn cannot be found.
absl::StatusOr<StepMetrics> LookAtSamples(const StylexTraining& training, int64_t batch,
                                          WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  const StyleVectors styles = SampleStyles(model, kQuickImages, kSampleSeed);
  std::vector<torch::Tensor> rows;
  for (int64_t row = 0; row < kSampleRows; ++row) {
    std::vector<torch::Tensor> parts;
    for (int64_t start = 0; start < kGridColumns; start += batch) {
      parts.push_back(model.Synthesize(
          styles.Narrow(row * kGridColumns + start, std::min(batch, kGridColumns - start))));
    }
    rows.push_back(torch::cat(parts));
  }
  const torch::Tensor counts = torch::bincount(LogitsOf(model, styles, batch).argmax(1),
                                               /*weights=*/{}, model.num_classes());
  StepMetrics figures;
  for (int k = 0; k < model.config().labels_size(); ++k) {
    figures["share_" + model.config().labels(k)] =
        counts[k].item<double>() / static_cast<double>(kQuickImages);
  }
  STYLEX_RETURN_IF_ERROR(DrawRows(std::move(rows), training, run));
  return figures;
}

// Latents w with their condition (the last values) replaced.
torch::Tensor WithCondition(const torch::Tensor& w, const torch::Tensor& condition) {
  return torch::cat({w.narrow(1, 0, w.size(1) - condition.size(1)), condition}, 1);
}

struct LookOfRunnersUp {
  torch::Tensor images;
  torch::Tensor logits;
  double flips = 0;  // decided as the photograph's runner-up
  double flips_by_few =
      0;  // when only the kFewMoves coordinates that the condition moves most are moved
};

// Images with latents w conditioned on the runner-up: the two greatest logits are swapped.
LookOfRunnersUp DrawRunnersUp(const Stylex& model, const torch::Tensor& w,
                              const torch::Tensor& logits) {
  const torch::Tensor runner_up = RunnersUp(logits);
  const torch::Tensor second = runner_up.unsqueeze(1);
  // The other of the two also where both are equally great.
  const torch::Tensor first =
      logits.scatter(1, second, -std::numeric_limits<double>::infinity()).argmax(1, true);
  const torch::Tensor exchanged = logits.scatter(1, first, logits.gather(1, second))
                                      .scatter(1, second, logits.gather(1, first));
  const StyleVectors others = model.Styles(WithCondition(w, Condition(model.config(), exchanged)));
  const auto count = [&](const torch::Tensor& of_images) {
    return runner_up.eq(of_images.argmax(1)).sum().item<double>();
  };
  LookOfRunnersUp result;
  result.images = model.Synthesize(others);
  result.logits = model.Logits(result.images);
  result.flips = count(result.logits);
  StyleVectors few = model.Styles(w);
  const torch::Tensor furthest =
      std::get<1>((others.conv - few.conv).abs().topk(std::min(kFewMoves, few.conv.size(1))));
  few.conv = few.conv.scatter(1, furthest, others.conv.gather(1, furthest));
  result.flips_by_few = count(model.LogitsOfStyles(few));
  return result;
}

// Agreement, KL and L1 on the first validation images, and a grid: photographs above their
// reconstructions with the class condition, without it, and with that of the runner-up.
absl::StatusOr<StepMetrics> LookAtReconstructions(const StylexTraining& training,
                                                  const Dataset& dataset, int64_t batch_size,
                                                  WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  double agree = 0, kl = 0, l1 = 0, agree_latent = 0;
  double flips = 0, flips_by_few = 0;
  int64_t images = 0;
  std::vector<torch::Tensor> rows;
  Noticed noticed(dataset, model.config());
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, Split::kValidation, batch_size, kQuickImages,
      [run](const std::string& text) { run->Warn(text); },
      [&](const Batch& batch) {
        const torch::Tensor x = batch.images.to(model.device());
        const torch::Tensor logits = model.Logits(x);
        const torch::Tensor w = model.Encode(x, logits);
        const torch::Tensor drawn = model.Synthesize(model.Styles(w));
        const torch::Tensor drawn_logits = model.Logits(drawn);
        const torch::Tensor decided = logits.argmax(1);
        const LookOfRunnersUp others = DrawRunnersUp(model, w, logits);
        flips += others.flips;
        flips_by_few += others.flips_by_few;
        // The same latents with the condition set to zero show how much class information they
        // contain.
        const torch::Tensor latent_only = model.Synthesize(model.Styles(WithCondition(
            w, torch::zeros({x.size(0), ConditionSize(model.config())}, w.options()))));
        agree += decided.eq(drawn_logits.argmax(1)).sum().item<double>();
        agree_latent += decided.eq(model.Logits(latent_only).argmax(1)).sum().item<double>();
        kl += KlPerImage(logits, drawn_logits).sum().item<double>();
        const torch::Tensor errors = L1PerImage(x, drawn);
        l1 += errors.sum().item<double>();
        noticed.Add(batch, drawn, errors, {logits, drawn_logits, others.logits});
        images += x.size(0);
        const std::vector<torch::Tensor> more = {x, drawn, latent_only, others.images};
        if (rows.empty()) {
          rows = more;
        } else if (rows[0].size(0) < kGridColumns) {
          for (size_t i = 0; i < rows.size(); ++i) {
            rows[i] = torch::cat({rows[i], more[i]});
          }
        }
        return absl::OkStatus();
      }));
  const double n = static_cast<double>(images);
  STYLEX_RETURN_IF_ERROR(DrawRows(std::move(rows), training, run));
  STYLEX_RETURN_IF_ERROR(noticed.Write(run->path(), training.images_seen()));
  return StepMetrics{{"agreement", agree / n},
                     {"agreement_without_condition", agree_latent / n},
                     {"flips_by_condition", flips / n},
                     {"flips_by_its_ten_furthest", flips_by_few / n},
                     {"kl", kl / n},
                     {"l1", l1 / n}};
}

}  // namespace

absl::StatusOr<StepMetrics> QuickLook(const StylexTraining& training, const Dataset& dataset,
                                      int64_t batch_size, WorkDirectory* run) {
  const bool reconstructs = !training.averaged_networks().encoder.is_empty();
  STYLEX_ASSIGN_OR_RETURN(StepMetrics figures,
                          reconstructs ? LookAtReconstructions(training, dataset, batch_size, run)
                                       : LookAtSamples(training, batch_size, run));
  figures["images_seen"] = static_cast<double>(training.images_seen());
  return figures;
}

}  // namespace stylex
