#include "explain/exemplar_baseline.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace stylex {
namespace {

constexpr double kNoDeviation = 1e-12;

// Positions of the exemplars, [M] int64.
torch::Tensor Exemplars(const torch::Tensor& probability, const ExemplarOptions& options) {
  if (options.share > 0) {
    const int64_t count = std::llround(options.share * static_cast<double>(probability.size(0)));
    return probability.argsort(0, /*descending=*/true)
        .narrow(0, 0, std::clamp<int64_t>(count, 0, probability.size(0)));
  }
  return probability.gt(options.probability).nonzero().squeeze(1);
}

}  // namespace

absl::StatusOr<ExemplarOptions> ParseExemplars(const std::string& text) {
  ExemplarOptions options;
  const bool share = absl::EndsWith(text, "%");
  double value = 0;
  const bool number = absl::SimpleAtod(absl::StripSuffix(text, "%"), &value);
  // Comparisons that nan does not pass.
  if (!number || !(share ? value > 0 && value <= 100 : value >= 0 && value < 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "exemplars are \"", text,
        "\"; expected a probability from 0 to below 1, such as 0.9, or a share, such as 2%"));
  }
  (share ? options.share : options.probability) = share ? value / 100 : value;
  return options;
}

std::string NameOf(const ExemplarOptions& options) {
  return options.share > 0 ? absl::StrCat("the top ", 100 * options.share, " %")
                           : absl::StrCat("a probability over ", options.probability);
}

absl::StatusOr<std::vector<ExemplarAttribute>> ExemplarAttributes(const torch::Tensor& conv_styles,
                                                                  const torch::Tensor& logits,
                                                                  int64_t target,
                                                                  const ExemplarOptions& options) {
  torch::NoGradGuard no_grad;
  const torch::Tensor styles = conv_styles.to(torch::kCPU, torch::kFloat64);
  const torch::Tensor probability =
      torch::softmax(logits.to(torch::kCPU, torch::kFloat64), 1).select(1, target);
  const torch::Tensor exemplars = Exemplars(probability, options);
  if (exemplars.size(0) < 2) {
    return absl::FailedPreconditionError(absl::StrCat(
        "class ", target, " has ", exemplars.size(0), " exemplars (", NameOf(options), ") among ",
        styles.size(0), " images; at least two are needed: take more images or ",
        options.share > 0 ? "a greater share" : "a lower probability"));
  }
  const torch::Tensor deviation = styles.std(0, /*unbiased=*/false);
  const torch::Tensor difference =
      (styles.index_select(0, exemplars) - styles.mean(0)) / deviation.clamp_min(kNoDeviation);
  const torch::Tensor mean = difference.mean(0).contiguous();
  const torch::Tensor spread = difference.std(0, /*unbiased=*/false);
  const torch::Tensor usable = deviation.gt(kNoDeviation).logical_and(spread.gt(kNoDeviation));
  const torch::Tensor relevance =
      (mean.abs() / spread.clamp_min(kNoDeviation)).masked_fill(~usable, -1).contiguous();
  const torch::Tensor order = relevance.argsort(0, /*descending=*/true).contiguous();
  std::vector<ExemplarAttribute> attributes;
  for (int64_t i = 0; i < order.size(0) && i < options.max_attributes; ++i) {
    const int64_t index = order.data_ptr<int64_t>()[i];
    const double value = relevance.data_ptr<double>()[index];
    if (value < 0) {
      break;
    }
    attributes.push_back({{index, mean.data_ptr<double>()[index] > 0 ? 1 : 0}, value});
  }
  return attributes;
}

}  // namespace stylex
