#include "explain/screening.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <span>
#include <tuple>
#include <utility>

#include "base/status_macros.h"
#include "explain/move_table.h"

namespace stylex {
namespace {

// What is known of the predictions' errors: (exact - predicted) of move m on image n is
// scale[m] * (mean + a share of the move's own + the image's), the two with these variances.
struct ErrorModel {
  std::vector<double> scale;  // [moves]
  double mean = 0, between = 0, within = 0;
};

// Posterior mean and standard deviation of each move's mean effect over a set of images.
struct Estimates {
  std::vector<double> mean, deviation;
};

double Positive(float value) { return std::max(0.0, static_cast<double>(value)); }

double UpperTail(double deviations) { return 0.5 * std::erfc(deviations / std::numbers::sqrt2); }

// One search. Effects count where they raise the target: max(0, change), as in SelectAttributes.
class Search {
 public:
  Search(MoveTable* table, const ScreeningOptions& options)
      : table_(*table), options_(options), random_(options.seed) {
    order_.resize(static_cast<size_t>(table_.images()));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    std::shuffle(order_.begin(), order_.end(), random_);
  }

  absl::StatusOr<ScreenedSelection> Run();

 private:
  absl::Status Audit();
  void LearnErrors();
  void Estimate(const std::vector<int64_t>& images, Estimates* estimates) const;
  // Mean and deviation over `images`; blind: as if the move had never been evaluated.
  std::pair<double, double> EstimateOne(int64_t move, const std::vector<int64_t>& images,
                                        bool blind) const;
  // The move with the greatest mean effect on `images`; -1 when none raises the target.
  absl::StatusOr<int64_t> Best(const std::vector<int64_t>& images);
  void CountAudit(const std::vector<int64_t>& images, int64_t best, double best_mean);
  void Progress();
  SelectedAttribute Describe(int64_t move) const;

  MoveTable& table_;
  const ScreeningOptions& options_;
  std::mt19937_64 random_;
  std::vector<int64_t> order_;  // images, in the order they are looked at
  std::vector<int64_t> audited_;
  std::vector<bool> available_, doubtful_;  // moves; doubtful_: the screening alone would keep it
  std::vector<int64_t> missed_;
  ErrorModel errors_;
  double risk_ = 0;
  int64_t steps_ = 0;
};

void Search::Progress() {
  if (options_.progress) {
    // What has been spent for the attributes found, for all of them.
    const double share = static_cast<double>(steps_ + 1) /
                         static_cast<double>(std::max<int64_t>(options_.max_attributes, 1) + 1);
    const int64_t done = table_.evaluations();
    options_.progress(done, std::max(done, static_cast<int64_t>(static_cast<double>(done) / share)));
  }
}

absl::Status Search::Audit() {
  std::vector<int64_t> moves(static_cast<size_t>(table_.moves()));
  std::iota(moves.begin(), moves.end(), int64_t{0});
  std::shuffle(moves.begin(), moves.end(), random_);
  // Enough to learn from, in a small network too.
  const double share = options_.audit_share * static_cast<double>(table_.moves());
  moves.resize(std::min(moves.size(), static_cast<size_t>(std::max(8.0, std::ceil(share)))));
  audited_ = std::move(moves);
  return table_.Evaluate(order_, audited_);
}

// The spread of the errors grows with the size of the predictions, as a power of it.
void Search::LearnErrors() {
  const auto n = static_cast<double>(table_.images());
  std::vector<double> size(static_cast<size_t>(table_.moves()));
  for (int64_t m = 0; m < table_.moves(); ++m) {
    double squares = 0;
    for (int64_t i = 0; i < table_.images(); ++i) {
      squares += table_.predicted(i, m) * table_.predicted(i, m);
    }
    size[static_cast<size_t>(m)] = std::sqrt(squares / n) + 1e-9;
  }
  const auto error = [&](int64_t image, int64_t move) {
    return Positive(table_.exact(image, move)) - Positive(table_.predicted(image, move));
  };
  // Least squares of log spread on log size.
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const int64_t m : audited_) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < table_.images(); ++i) {
      sum += error(i, m);
      squares += error(i, m) * error(i, m);
    }
    const double spread = std::sqrt(std::max(squares / n - sum * sum / (n * n), 0.0)) + 1e-9;
    const double x = std::log(size[static_cast<size_t>(m)]), y = std::log(spread);
    sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  const auto count = static_cast<double>(audited_.size());
  const double variance = sxx - sx * sx / count;
  const double power =
      variance > 1e-9 ? std::clamp((sxy - sx * sy / count) / variance, 1.0, 2.0) : 1.0;
  errors_.scale.resize(size.size());
  std::transform(size.begin(), size.end(), errors_.scale.begin(),
                 [power](double value) { return std::pow(value, power); });
  // One-way analysis of variance: moves are the groups.
  double grand = 0, within = 0, squared_means = 0;
  for (const int64_t m : audited_) {
    const double scale = errors_.scale[static_cast<size_t>(m)];
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < table_.images(); ++i) {
      const double value = error(i, m) / scale;
      sum += value;
      squares += value * value;
    }
    grand += sum / n;
    squared_means += (sum / n) * (sum / n);
    within += n > 1 ? (squares - sum * sum / n) / (n - 1) : squares;
  }
  errors_.mean = grand / count;
  errors_.within = within / count + 1e-12;
  const double means = squared_means / count - errors_.mean * errors_.mean;
  errors_.between = std::max(means - errors_.within / n, 0.05 * errors_.within);
}

std::pair<double, double> Search::EstimateOne(int64_t move, const std::vector<int64_t>& images,
                                              bool blind) const {
  const double scale = errors_.scale[static_cast<size_t>(move)];
  double errors = 0, seen = 0;
  for (int64_t i = 0; i < table_.images() && !blind; ++i) {
    if (table_.known(i, move)) {
      errors += (Positive(table_.exact(i, move)) - Positive(table_.predicted(i, move))) / scale;
      ++seen;
    }
  }
  const double variance = 1 / (1 / errors_.between + seen / errors_.within);
  const double own = variance * (errors - seen * errors_.mean) / errors_.within;
  double sum = 0, unknown = 0;
  for (const int64_t i : images) {
    if (!blind && table_.known(i, move)) {
      sum += Positive(table_.exact(i, move));
    } else {
      sum += std::max(0.0, Positive(table_.predicted(i, move)) + scale * (errors_.mean + own));
      ++unknown;
    }
  }
  const auto n = static_cast<double>(images.size());
  const double deviation =
      scale * std::sqrt(unknown * unknown * variance + unknown * errors_.within) / n;
  return {sum / n, deviation};
}

void Search::Estimate(const std::vector<int64_t>& images, Estimates* estimates) const {
  for (int64_t m = 0; m < table_.moves(); ++m) {
    const size_t at = static_cast<size_t>(m);
    std::tie(estimates->mean[at], estimates->deviation[at]) =
        available_[at] ? EstimateOne(m, images, /*blind=*/false) : std::pair(-1.0, 0.0);
  }
}

absl::StatusOr<int64_t> Search::Best(const std::vector<int64_t>& images) {
  Estimates estimates{std::vector<double>(available_.size()),
                      std::vector<double>(available_.size())};
  // Images of one round: few at first, because most moves drop out early.
  const int64_t block = std::max<int64_t>(4, static_cast<int64_t>(images.size()) / 16);
  while (true) {
    Estimate(images, &estimates);
    const auto best = static_cast<size_t>(
        std::max_element(estimates.mean.begin(), estimates.mean.end()) - estimates.mean.begin());
    std::vector<int64_t> open;  // may still be the best, and are not known everywhere
    double risk = 0;
    for (size_t m = 0; m < available_.size(); ++m) {
      if (!available_[m]) {
        continue;
      }
      const double spread = std::hypot(estimates.deviation[m], estimates.deviation[best]);
      const double behind = estimates.mean[best] - estimates.mean[m];
      if (m == best || behind <= options_.deviations * spread) {
        if (estimates.deviation[m] > 0) {
          open.push_back(static_cast<int64_t>(m));
        }
      } else if (spread > 0) {
        risk += UpperTail(behind / spread);
      }
    }
    if (open.empty()) {
      risk_ += risk;
      const auto found = static_cast<int64_t>(best);
      CountAudit(images, found, estimates.mean[best]);
      return estimates.mean[best] > 0 ? found : -1;
    }
    // The images that fewest of them have been evaluated on.
    std::vector<std::pair<int64_t, int64_t>> gaps;
    for (const int64_t i : images) {
      const int64_t missing = std::count_if(open.begin(), open.end(),
                                            [&](int64_t m) { return !table_.known(i, m); });
      if (missing > 0) {
        gaps.emplace_back(-missing, i);
      }
    }
    std::stable_sort(gaps.begin(), gaps.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<int64_t> next;
    for (size_t g = 0; g < gaps.size() && static_cast<int64_t>(g) < block; ++g) {
      next.push_back(gaps[g].second);
    }
    STYLEX_RETURN_IF_ERROR(table_.Evaluate(next, open));
    Progress();
  }
}

// Would the screening have kept the audited moves without having seen them?
void Search::CountAudit(const std::vector<int64_t>& images, int64_t best, double best_mean) {
  for (const int64_t m : audited_) {
    const size_t at = static_cast<size_t>(m);
    if (!available_[at]) {
      continue;
    }
    const auto [mean, deviation] = EstimateOne(m, images, /*blind=*/true);
    const bool kept = best_mean - mean <= options_.deviations * deviation;
    doubtful_[at] = doubtful_[at] || kept;
    if (m == best && !kept) {
      missed_.push_back(m);
    }
  }
}

SelectedAttribute Search::Describe(int64_t move) const {
  double sum = 0, flips = 0;
  for (int64_t i = 0; i < table_.images(); ++i) {
    sum += table_.exact(i, move);
    flips += table_.flips(i, move) ? 1 : 0;
  }
  const auto n = static_cast<double>(table_.images());
  return {table_.CoordinateOf(move), sum / n, flips / n};
}

absl::StatusOr<ScreenedSelection> Search::Run() {
  ScreenedSelection result;
  available_.assign(static_cast<size_t>(table_.moves()), true);
  doubtful_.assign(static_cast<size_t>(table_.moves()), false);
  STYLEX_RETURN_IF_ERROR(table_.Predict());
  STYLEX_RETURN_IF_ERROR(Audit());
  Progress();
  LearnErrors();
  std::vector<double> explained(static_cast<size_t>(table_.images()));
  while (static_cast<int64_t>(result.attributes.size()) < options_.max_attributes) {
    std::vector<int64_t> unexplained;
    for (const int64_t i : order_) {
      if (options_.explained_at <= 0 ||
          explained[static_cast<size_t>(i)] < options_.explained_at) {
        unexplained.push_back(i);
      }
    }
    if (unexplained.empty()) {
      break;
    }
    STYLEX_ASSIGN_OR_RETURN(const int64_t best, Best(unexplained));
    if (best < 0) {
      break;
    }
    STYLEX_RETURN_IF_ERROR(table_.Evaluate(order_, std::span(&best, 1)));
    result.attributes.push_back(Describe(best));
    const int64_t half = table_.moves() / 2;
    available_[static_cast<size_t>(best % half)] = false;
    available_[static_cast<size_t>(best % half + half)] = false;
    for (int64_t i = 0; i < table_.images(); ++i) {
      explained[static_cast<size_t>(i)] += Positive(table_.exact(i, best));
    }
    ++steps_;
    Progress();
  }
  result.classifier_calls = table_.evaluations();
  result.confidence = std::max(0.0, 1 - risk_);
  result.audited = std::count_if(audited_.begin(), audited_.end(), [this](int64_t m) {
    return !doubtful_[static_cast<size_t>(m)];
  });
  result.audit_misses = static_cast<int64_t>(missed_.size());
  return result;
}

}  // namespace

absl::StatusOr<ScreenedSelection> SelectAttributesScreened(const Stylex& model,
                                                           const StyleVectors& styles,
                                                           const StyleRanges& ranges,
                                                           int64_t target,
                                                           const ScreeningOptions& options) {
  if (styles.conv.size(0) == 0) {
    ScreenedSelection nothing;
    nothing.confidence = 1;
    return nothing;
  }
  MoveTable table(model, styles, ranges, target,
                  {options.shift, options.batch_size, options.cancelled});
  return Search(&table, options).Run();
}

}  // namespace stylex
