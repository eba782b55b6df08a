#include "explain/decisions.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/rendering.h"

namespace stylex {
namespace {

constexpr int kUsualQuality = 90;

}  // namespace

torch::Tensor MarginOf(const torch::Tensor& logits, int64_t target) {
  torch::Tensor is_target = torch::zeros({logits.size(-1)}, logits.options().dtype(torch::kBool));
  is_target[target] = true;
  const torch::Tensor others =
      logits.masked_fill(is_target, -std::numeric_limits<float>::infinity());
  return logits.select(-1, target) - others.amax(-1);
}

torch::Tensor LogOddsOf(const torch::Tensor& logits, int64_t target, double temperature) {
  torch::Tensor is_target = torch::zeros({logits.size(-1)}, logits.options().dtype(torch::kBool));
  is_target[target] = true;
  const torch::Tensor scaled = logits.to(torch::kFloat64) / temperature;
  const torch::Tensor others =
      scaled.masked_fill(is_target, -std::numeric_limits<double>::infinity());
  return scaled.select(-1, target) - others.logsumexp(-1);
}

torch::Tensor ScoreOf(const torch::Tensor& logits, const Goal& goal) {
  return goal.probability > 0 ? LogOddsOf(logits, goal.target, goal.temperature).to(torch::kFloat32)
                              : MarginOf(logits, goal.target);
}

double ExcessOf(const torch::Tensor& logits, const Goal& goal) {
  const double margin = MarginOf(logits, goal.target).item<double>();
  if (goal.probability <= 0) {
    return margin;
  }
  const double wanted = std::log(goal.probability) - std::log1p(-goal.probability);
  const double reached = LogOddsOf(logits, goal.target, goal.temperature).item<double>();
  return std::min(margin, goal.temperature * (reached - wanted));
}

bool Reaches(const torch::Tensor& logits, const Goal& goal) {
  return logits.argmax().item<int64_t>() == goal.target &&
         ExcessOf(logits, goal) >= goal.least_excess;
}

torch::Tensor RecompressedLogits(const Stylex& model, const torch::Tensor& image) {
  const torch::Tensor files =
      torch::cat({Rendering::Jpeg(kUsualQuality, JpegColors::kHalved).Apply(image),
                  Rendering::Jpeg(kUsualQuality).Apply(image)});
  return model.Logits(files).to(torch::kCPU);
}

double LeastMargin(const torch::Tensor& logits, int64_t target) {
  return MarginOf(logits, target).min().item<double>();
}

torch::Tensor RunnersUp(const torch::Tensor& logits) {
  return std::get<1>(logits.topk(2)).select(-1, 1).contiguous();
}

int64_t RunnerUp(const torch::Tensor& logits) { return RunnersUp(logits).item<int64_t>(); }

torch::Tensor LogitsOf(const Stylex& model, const StyleVectors& styles, int64_t batch) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parts;
  for (int64_t start = 0; start < styles.conv.size(0); start += batch) {
    const int64_t length = std::min(batch, styles.conv.size(0) - start);
    parts.push_back(model.LogitsOfStyles(styles.Narrow(start, length)).to(torch::kCPU));
  }
  return torch::cat(parts);
}

}  // namespace stylex
