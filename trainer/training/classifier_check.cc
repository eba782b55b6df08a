#include "trainer/training/classifier_check.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/exceptions.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "models/pixels.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

constexpr int64_t kMostImages = 1000;
constexpr int64_t kBatch = 64;
constexpr int64_t kAlone = 4;             // images that are also classified one by one
constexpr int64_t kEnoughForChance = 20;  // images below which the accuracy says nothing
constexpr double kTolerance = 1e-3;       // of the greatest logit

struct Images {
  torch::Tensor pixels;  // [N, C, R, R] in [-1, 1]
  torch::Tensor labels;  // [N] int64
};

absl::StatusOr<Images> Draw(const Dataset& dataset, uint64_t seed,
                            const std::function<void(const std::string&)>& warn) {
  std::vector<Bitmap> bitmaps;
  std::vector<int64_t> labels;
  for (const int64_t index : DrawnIndices(dataset.size(Split::kValidation), seed, kMostImages)) {
    absl::StatusOr<Bitmap> bitmap = dataset.Load(Split::kValidation, index);
    if (bitmap.ok()) {
      bitmaps.push_back(*std::move(bitmap));
      labels.push_back(dataset.label(Split::kValidation, index));
    } else {
      warn(absl::StrCat("left out: ", bitmap.status().message()));
    }
  }
  if (bitmaps.empty()) {
    return absl::DataLossError("not one of the validation images can be read");
  }
  return Images{BitmapsToTensor(bitmaps), torch::tensor(labels)};
}

// [N, K] on the CPU.
torch::Tensor LogitsOf(const Classifier& classifier, const torch::Tensor& images,
                       const torch::Device& device) {
  std::vector<torch::Tensor> logits;
  for (const torch::Tensor& part : images.split(kBatch)) {
    logits.push_back(classifier.Logits(part.to(device)).to(torch::kCPU, torch::kFloat32));
  }
  return torch::cat(logits);
}

double Distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Whether they come from a softmax, or from a sigmoid that both saturates and does not.
bool AreProbabilities(const torch::Tensor& logits) {
  constexpr double kNearNone = 0.1, kNearCertain = 0.9, kRounding = 1e-3;
  const double least = logits.min().item<double>(), most = logits.max().item<double>();
  const double off = (logits.sum(1) - 1).abs().max().item<double>();
  return least >= 0 && most <= 1 && (off < kRounding || (least < kNearNone && most > kNearCertain));
}

void CheckAnswers(const Classifier& classifier, const torch::Tensor& images, int64_t num_classes,
                  const torch::Device& device, std::vector<std::string>* faults) {
  const torch::Tensor part = images.narrow(0, 0, std::min(kBatch, images.size(0)));
  const torch::Tensor logits = LogitsOf(classifier, part, device);
  if (logits.sizes() != torch::IntArrayRef({part.size(0), num_classes})) {
    faults->push_back(absl::StrCat("gives a tensor of ", logits.numel(), " values for a batch of ",
                                   part.size(0), " images and ", num_classes,
                                   " classes; expected one row of logits for each image"));
    return;
  }
  if (!logits.isfinite().all().item<bool>()) {
    faults->push_back("gives logits that are not finite");
    return;
  }
  const double tolerance = kTolerance * (1 + logits.abs().max().item<double>());
  if (const double off = Distance(LogitsOf(classifier, part, device), logits); off > tolerance) {
    faults->push_back(absl::StrFormat(
        "answers the same images differently, by %.3g: is a dropout active? Save it after .eval()",
        off));
  }
  const int64_t alone = std::min(kAlone, part.size(0));
  std::vector<torch::Tensor> one_by_one;
  for (int64_t i = 0; i < alone; ++i) {
    one_by_one.push_back(LogitsOf(classifier, part.narrow(0, i, 1), device));
  }
  if (const double off = Distance(torch::cat(one_by_one), logits.narrow(0, 0, alone));
      off > tolerance) {
    faults->push_back(absl::StrFormat(
        "answers an image differently alone and in a batch, by %.3g: is a batch norm "
        "in training mode? Save it after .eval()",
        off));
  }
  if (AreProbabilities(logits)) {
    faults->push_back(
        "gives probabilities: all outputs lie between 0 and 1. Logits are needed: leave out the "
        "softmax or sigmoid at its end, or append a logarithm");
  }
}

void CheckGradients(const Classifier& classifier, const torch::Tensor& images,
                    const torch::Device& device, std::vector<std::string>* faults) {
  constexpr char kNone[] =
      "has no gradients with respect to the image, which the explainer's training and search need: "
      "argmax, rounding, one-hot outputs, detach(), no_grad() and quantised layers have none";
  const torch::AutoGradMode with_gradients(true);
  const torch::Tensor x =
      images.narrow(0, 0, std::min(kBatch, images.size(0))).to(device).clone().requires_grad_(true);
  const torch::Tensor logits = classifier.Logits(x);
  if (!logits.requires_grad()) {
    faults->push_back(kNone);
    return;
  }
  // Of one logit, because all of them may have a constant sum.
  logits.select(1, 0).sum().backward();
  if (!x.grad().defined() || x.grad().eq(0).all().item<bool>()) {
    faults->push_back(kNone);
  } else if (!x.grad().isfinite().all().item<bool>()) {
    faults->push_back("has gradients that are not finite");
  }
}

struct Score {
  int64_t right = 0;
  int64_t images = 0;
  double share() const { return static_cast<double>(right) / static_cast<double>(images); }
  // Whether it is surely better than `other` on the same images.
  bool SurelyAbove(double other) const { return WilsonInterval(right, images).low > other; }
};

Score ScoreOf(const torch::Tensor& decided, const torch::Tensor& labels) {
  return {decided.eq(labels).sum().item<int64_t>(), labels.size(0)};
}

std::string Percent(double share) { return absl::StrFormat("%.1f %%", 100 * share); }

std::string AccuracyLine(const torch::Tensor& decided, const Images& images,
                         const std::vector<std::string>& labels) {
  std::vector<std::string> of_classes;
  for (size_t k = 0; k < labels.size(); ++k) {
    const torch::Tensor own = images.labels.eq(static_cast<int64_t>(k));
    if (const int64_t count = own.sum().item<int64_t>(); count > 0) {
      const int64_t right =
          decided.masked_select(own).eq(static_cast<int64_t>(k)).sum().item<int64_t>();
      of_classes.push_back(absl::StrCat(
          labels[k], " ", Percent(static_cast<double>(right) / static_cast<double>(count))));
    }
  }
  return absl::StrCat(
      "the classifier is right on ", Percent(ScoreOf(decided, images.labels).share()), " of ",
      images.labels.size(0), " validation images (", absl::StrJoin(of_classes, ", "), ")");
}

// The labels in the order in which its decisions fit best, if each class is decided as another one
// most often; else none.
std::vector<std::string> FittingOrder(const torch::Tensor& decided, const torch::Tensor& labels,
                                      const std::vector<std::string>& names, Score* score) {
  std::vector<std::string> order(names.size());
  std::set<int64_t> taken;
  torch::Tensor renamed = torch::full_like(decided, -1);
  for (size_t k = 0; k < names.size(); ++k) {
    const torch::Tensor own = decided.masked_select(labels.eq(static_cast<int64_t>(k)));
    if (own.size(0) == 0) {
      return {};
    }
    const int64_t most = std::get<0>(own.mode()).item<int64_t>();
    if (!taken.insert(most).second) {
      return {};
    }
    order[static_cast<size_t>(most)] = names[k];
    renamed.masked_fill_(decided.eq(most), static_cast<int64_t>(k));
  }
  *score = ScoreOf(renamed, labels);
  return order;
}

struct Alternative {
  const char* name;
  torch::Tensor images;
};

std::vector<Alternative> Alternatives(const torch::Tensor& x) {
  std::vector<Alternative> all = {{"in [0, 1]", (x + 1) / 2}, {"in [0, 255]", (x + 1) * 127.5}};
  if (x.size(1) == 3) {
    const torch::Tensor mean = torch::tensor({0.485, 0.456, 0.406}).view({3, 1, 1});
    const torch::Tensor std = torch::tensor({0.229, 0.224, 0.225}).view({3, 1, 1});
    all.push_back({"normalised as for ImageNet", ((x + 1) / 2 - mean) / std});
    all.push_back({"with the channels blue, green, red", x.flip(1)});
  }
  return all;
}

// Adds a preparation of the images that is surely better than ours, if there is one.
bool CheckPreparation(const Classifier& classifier, const Images& images, double share,
                      const torch::Device& device, std::vector<std::string>* faults) {
  const char* best = nullptr;
  Score best_score;
  for (const Alternative& alternative : Alternatives(images.pixels)) {
    const Score score =
        ScoreOf(LogitsOf(classifier, alternative.images, device).argmax(1), images.labels);
    if (score.SurelyAbove(share) && score.right > best_score.right) {
      best = alternative.name;
      best_score = score;
    }
  }
  if (best != nullptr) {
    faults->push_back(absl::StrCat(
        "is right on ", Percent(best_score.share()), " of the validation images when they are ",
        best, ", but on ", Percent(share),
        " as they come here, in [-1, 1]: wrap it so that it takes such images (docs/training.md)"));
  }
  return best != nullptr;
}

void CheckAccuracy(const Classifier& classifier, const Images& images,
                   const std::vector<std::string>& names, const torch::Device& device,
                   ClassifierReport* report) {
  const torch::Tensor decided = LogitsOf(classifier, images.pixels, device).argmax(1);
  report->accuracy = AccuracyLine(decided, images, names);
  if (images.labels.size(0) < kEnoughForChance) {
    return;
  }
  const Score score = ScoreOf(decided, images.labels);
  Score reordered;
  const std::vector<std::string> order = FittingOrder(decided, images.labels, names, &reordered);
  if (!order.empty() && order != names && reordered.SurelyAbove(score.share())) {
    report->faults.push_back(absl::StrCat(
        "is right on ", Percent(reordered.share()), " if its outputs are ",
        absl::StrJoin(order, ", "), ", but on ", Percent(score.share()), " if they are ",
        absl::StrJoin(names, ", "), ": name them in its order as data.labels in the config"));
    return;
  }
  if (CheckPreparation(classifier, images, score.share(), device, &report->faults)) {
    return;
  }
  const double constant =
      static_cast<double>(torch::bincount(images.labels).max().item<int64_t>()) /
      static_cast<double>(images.labels.size(0));
  if (!score.SurelyAbove(constant)) {
    report->faults.push_back(absl::StrCat(
        "is not surely better than always answering one class (", Percent(constant),
        "): it takes images [N, C, R, R] in [-1, 1], red, green, blue, and its outputs are ",
        absl::StrJoin(names, ", "), ", in this order (data.labels)"));
  }
}

}  // namespace

absl::StatusOr<ClassifierReport> CheckClassifier(
    const Classifier& classifier, const Dataset& dataset, const torch::Device& device,
    uint64_t seed, const std::function<void(const std::string&)>& warn) {
  STYLEX_ASSIGN_OR_RETURN(const Images images, Draw(dataset, seed, warn));
  ClassifierReport report;
  const absl::Status run = WithoutExceptions([&] {
    const torch::NoGradGuard no_grad;
    CheckAnswers(classifier, images.pixels, static_cast<int64_t>(dataset.labels().size()), device,
                 &report.faults);
    CheckGradients(classifier, images.pixels, device, &report.faults);
    if (dataset.labelled()) {
      CheckAccuracy(classifier, images, dataset.labels(), device, &report);
    }
    return absl::OkStatus();
  });
  if (!run.ok()) {
    report.faults.push_back(absl::StrCat("fails: ", run.message()));
  }
  return report;
}

}  // namespace stylex
