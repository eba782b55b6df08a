#include "explain/screening.h"

#include <algorithm>
#include <cmath>
#include <map>
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

// Budget of the pilot: evaluations per image and, if there are many images, a share of all moves in
// all groups; and its number of images per group.
constexpr double kPilotBudget = 20;
constexpr double kPilotShare = 0.6;
constexpr size_t kPilotImages = 3;
// Prior weights: a move's own spread of errors within groups counts as much as the common one once
// this many of its errors are known, its spread between groups once it is known in this many
// groups.
constexpr double kPriorErrors = 6;
constexpr double kPriorGroups = 2;
// Share of the mean square of a move's predictions over all images that is added to that of each
// group.
constexpr double kShareOfMove = 0.05;

double Positive(float value) { return std::max(0.0, static_cast<double>(value)); }

double UpperTail(double deviations) { return 0.5 * std::erfc(deviations / std::numbers::sqrt2); }

// Model of the predictions' errors. The error (exact - predicted) of move m on an image of group g
// is scale[m][g] * (mean + b[m, g] + e), where b and e have these variances. A group contains the
// images with the same decision, because a move that is stronger than its gradient predicts is so
// for whole classes of images.
struct ErrorModel {
  std::vector<std::vector<double>> scale;  // [moves][groups]
  double mean = 0, between = 0, within = 0;
};

// The posterior of a move's mean effect over a set of images.
struct Estimate {
  double mean = -1, variance = 0;
  std::vector<double> group_variance;  // contribution of each group of images

  double deviation() const { return std::sqrt(variance); }
};

// One search. Only effects that raise the target count: max(0, change), as in SelectAttributes.
class ScreeningRace {
 public:
  ScreeningRace(MoveTable* table, const ScreeningOptions& options)
      : table_(*table), options_(options), random_(options.seed) {}

  absl::StatusOr<ScreenedSelection> Run();

 private:
  // Groups images by decision, each group in random order.
  void GroupImages();
  // Evaluates a random share of the moves on all images.
  absl::Status Audit();
  // Evaluates the moves predicted to be strongest in each group on a few of its images.
  absl::Status Pilot();
  void LearnErrors();
  void LearnScales();
  void LearnSpread();
  double Error(int64_t image, int64_t move) const {
    return Positive(table_.exact(image, move)) - Positive(table_.predicted(image, move));
  }
  // Estimates over the unexplained images. Blind: as if the move had never been evaluated.
  Estimate EstimateMove(int64_t move, bool blind) const;
  // The move with the greatest mean effect on the unexplained images; -1 when none raises the
  // target.
  absl::StatusOr<int64_t> Best();
  // Unexplained images on which to evaluate `open` next: from the groups that contribute most to
  // the uncertainty.
  std::vector<int64_t> NextImages(const std::vector<int64_t>& open,
                                  const std::vector<Estimate>& estimates) const;
  void CountAudit(int64_t best, double best_mean);
  void Progress();
  SelectedAttribute Describe(int64_t move) const;

  MoveTable& table_;
  const ScreeningOptions& options_;
  std::mt19937_64 random_;
  std::vector<std::vector<int64_t>> groups_;
  std::vector<int64_t> images_;  // all
  std::vector<int64_t> audited_;
  std::vector<bool> unexplained_;           // images
  std::vector<bool> available_, doubtful_;  // moves; doubtful_: kept though never evaluated
  ErrorModel errors_;
  double risk_ = 0;
  int64_t unexplained_count_ = 0, steps_ = 0, missed_ = 0;
};

void ScreeningRace::GroupImages() {
  std::map<int64_t, std::vector<int64_t>> by_decision;
  for (int64_t i = 0; i < table_.images(); ++i) {
    by_decision[table_.decided(i)].push_back(i);
    images_.push_back(i);
  }
  for (auto& [decision, group] : by_decision) {
    std::shuffle(group.begin(), group.end(), random_);
    groups_.push_back(std::move(group));
  }
}

void ScreeningRace::Progress() {
  if (options_.control.progress) {
    // Extrapolates the total from the evaluations needed for the attributes found so far.
    const double share = static_cast<double>(steps_ + 1) /
                         static_cast<double>(std::max<int64_t>(options_.max_attributes, 1) + 1);
    const int64_t done = table_.evaluations();
    options_.control.progress(done, static_cast<int64_t>(static_cast<double>(done) / share));
  }
}

absl::Status ScreeningRace::Audit() {
  std::vector<int64_t> moves(static_cast<size_t>(table_.moves()));
  std::iota(moves.begin(), moves.end(), int64_t{0});
  std::shuffle(moves.begin(), moves.end(), random_);
  // At least a minimum to learn from in small networks.
  const double share = std::ceil(options_.audit_share * static_cast<double>(table_.moves()));
  moves.resize(std::min(moves.size(), static_cast<size_t>(std::max(8.0, share))));
  audited_ = std::move(moves);
  return table_.Evaluate(images_, audited_);
}

absl::Status ScreeningRace::Pilot() {
  struct Cell {
    double promise;  // predicted total gain of the group's images
    int64_t move;
    size_t group;
  };
  std::vector<Cell> cells;
  for (int64_t m = 0; m < table_.moves(); ++m) {
    for (size_t g = 0; g < groups_.size(); ++g) {
      double sum = 0;
      for (const int64_t i : groups_[g]) {
        sum += Positive(table_.predicted(i, m));
      }
      cells.push_back({sum, m, g});
    }
  }
  std::sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) {
    return std::tie(b.promise, a.move, a.group) < std::tie(a.promise, b.move, b.group);
  });
  double budget = std::min(kPilotBudget * static_cast<double>(table_.images()),
                           kPilotShare * static_cast<double>(cells.size() * kPilotImages));
  std::vector<std::vector<int64_t>> moves(groups_.size());
  for (const Cell& cell : cells) {
    const size_t images = std::min(groups_[cell.group].size(), kPilotImages);
    budget -= static_cast<double>(images);
    if (budget < 0 || cell.promise <= 0) {
      break;
    }
    moves[cell.group].push_back(cell.move);
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    const std::span<const int64_t> group(groups_[g]);
    STYLEX_RETURN_IF_ERROR(
        table_.Evaluate(group.first(std::min(group.size(), kPilotImages)), moves[g]));
  }
  return absl::OkStatus();
}

void ScreeningRace::LearnErrors() {
  LearnScales();
  LearnSpread();
}

// The size of errors is modelled as a power of the size of predictions, by least squares of the
// logarithms, with moves and groups weighted by the number of evaluated images.
void ScreeningRace::LearnScales() {
  const size_t moves = static_cast<size_t>(table_.moves());
  double weights = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  errors_.scale.assign(moves, std::vector<double>(groups_.size()));
  for (size_t m = 0; m < moves; ++m) {
    const auto move = static_cast<int64_t>(m);
    double of_move = 0;
    for (const int64_t i : images_) {
      of_move += std::pow(static_cast<double>(table_.predicted(i, move)), 2);
    }
    of_move /= static_cast<double>(images_.size());
    for (size_t g = 0; g < groups_.size(); ++g) {
      double squares = 0, errors = 0, known = 0;
      for (const int64_t i : groups_[g]) {
        squares += std::pow(static_cast<double>(table_.predicted(i, move)), 2);
        if (table_.known(i, move)) {
          errors += std::pow(Error(i, move), 2);
          ++known;
        }
      }
      const double size =
          std::sqrt(squares / static_cast<double>(groups_[g].size()) + kShareOfMove * of_move) +
          1e-9;
      errors_.scale[m][g] = size;
      if (known < 2) {
        continue;
      }
      const double x = std::log(size), y = std::log(std::sqrt(errors / known) + 1e-9);
      const double weight = std::min(known, 20.0);
      weights += weight, sx += weight * x, sy += weight * y;
      sxx += weight * x * x, sxy += weight * x * y;
    }
  }
  const double variance = weights > 0 ? sxx - sx * sx / weights : 0;
  const double power =
      variance > 1e-9 ? std::clamp((sxy - sx * sy / weights) / variance, 1.0, 2.0) : 1.0;
  for (std::vector<double>& groups : errors_.scale) {
    for (double& scale : groups) {
      scale = std::pow(scale, power);
    }
  }
}

// The variance within groups comes from the audited moves, which are known on all images; the
// total variance from everything known.
void ScreeningRace::LearnSpread() {
  const size_t moves = errors_.scale.size();
  double within = 0, degrees = 0, sum = 0, squares = 0, count = 0;
  for (size_t m = 0; m < moves; ++m) {
    for (size_t g = 0; g < groups_.size(); ++g) {
      double mean = 0, square = 0, n = 0;
      for (const int64_t i : groups_[g]) {
        if (table_.known(i, static_cast<int64_t>(m))) {
          const double error = Error(i, static_cast<int64_t>(m)) / errors_.scale[m][g];
          mean += error;
          square += error * error;
          ++n;
        }
      }
      if (n > 0) {
        within += square - mean * mean / n;
        degrees += n - 1;
        sum += mean;
        squares += square;
        count += n;
      }
    }
  }
  errors_.within = within / std::max(degrees, 1.0) + 1e-12;
  errors_.mean = sum / count;
  errors_.between = std::max(squares / count - errors_.mean * errors_.mean - errors_.within,
                             0.05 * errors_.within);
}

Estimate ScreeningRace::EstimateMove(int64_t move, bool blind) const {
  const std::vector<double>& scales = errors_.scale[static_cast<size_t>(move)];
  struct Group {
    double known = 0, sum = 0, missing = 0;
  };
  std::vector<Group> groups(groups_.size());
  double scatter = 0, degrees = 0, exact = 0;
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups[g];
    double squares = 0;
    for (const int64_t i : groups_[g]) {
      const bool counts = unexplained_[static_cast<size_t>(i)];
      if (!blind && table_.known(i, move)) {
        const double error = Error(i, move) / scales[g];
        ++group.known;
        group.sum += error;
        squares += error * error;
        exact += counts ? Positive(table_.exact(i, move)) : 0;
      } else if (counts) {
        ++group.missing;
      }
    }
    if (group.known > 0) {
      scatter += squares - group.sum * group.sum / group.known;
      degrees += group.known - 1;
    }
  }
  const double within = (scatter + kPriorErrors * errors_.within) / (degrees + kPriorErrors);
  // Spreads between groups have heavy tails: an observed deviation of a move in one group must not
  // be shrunk to the usual size, and increases the uncertainty about the move in other groups.
  const auto seen = [this](const Group& group) {
    return group.known > 0 ? std::pow(group.sum / group.known - errors_.mean, 2) : 0;
  };
  double surprises = kPriorGroups * errors_.between, surprising = kPriorGroups;
  for (const Group& group : groups) {
    surprises += seen(group);
    surprising += group.known > 0 ? 1 : 0;
  }
  const double between_of_move = std::max(errors_.between, surprises / surprising);
  Estimate estimate;
  const auto n = static_cast<double>(unexplained_count_);
  double sum = exact;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups[g];
    const double scale = scales[g];
    const double between = std::max(between_of_move, seen(group));
    const double posterior = 1 / (1 / between + group.known / within);
    const double own = posterior * (group.sum - group.known * errors_.mean) / within;
    for (const int64_t i : groups_[g]) {
      if (unexplained_[static_cast<size_t>(i)] && (blind || !table_.known(i, move))) {
        sum += std::max(0.0, Positive(table_.predicted(i, move)) + scale * (errors_.mean + own));
      }
    }
    estimate.group_variance.push_back(scale * scale * group.missing *
                                      (group.missing * posterior + within) / (n * n));
    estimate.variance += estimate.group_variance.back();
  }
  estimate.mean = sum / n;
  return estimate;
}

std::vector<int64_t> ScreeningRace::NextImages(const std::vector<int64_t>& open,
                                               const std::vector<Estimate>& estimates) const {
  struct Candidates {
    double doubt = 0;
    std::vector<std::pair<int64_t, int64_t>> images;  // (moves not known, image), most first
  };
  std::vector<Candidates> groups(groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const int64_t m : open) {
      groups[g].doubt += estimates[static_cast<size_t>(m)].group_variance[g];
    }
    for (const int64_t i : groups_[g]) {
      const int64_t missing = unexplained_[static_cast<size_t>(i)]
                                  ? std::count_if(open.begin(), open.end(),
                                                  [&](int64_t m) { return !table_.known(i, m); })
                                  : 0;
      if (missing > 0) {
        groups[g].images.emplace_back(missing, i);
      }
    }
    // Elements are taken from the back.
    std::stable_sort(groups[g].images.begin(), groups[g].images.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  const int64_t block = std::max<int64_t>(8, unexplained_count_ / 64);
  std::vector<int64_t> next;
  while (static_cast<int64_t>(next.size()) < block) {
    Candidates* most = nullptr;
    for (Candidates& group : groups) {
      if (!group.images.empty() && (most == nullptr || group.doubt > most->doubt)) {
        most = &group;
      }
    }
    if (most == nullptr) {
      break;
    }
    next.push_back(most->images.back().second);
    most->images.pop_back();
    most->doubt *= 0.7;
  }
  return next;
}

absl::StatusOr<int64_t> ScreeningRace::Best() {
  std::vector<Estimate> estimates(available_.size());
  for (size_t m = 0; m < available_.size(); ++m) {
    if (available_[m]) {
      estimates[m] = EstimateMove(static_cast<int64_t>(m), /*blind=*/false);
    }
  }
  while (true) {
    const size_t best = static_cast<size_t>(
        std::max_element(estimates.begin(), estimates.end(),
                         [](const Estimate& a, const Estimate& b) { return a.mean < b.mean; }) -
        estimates.begin());
    std::vector<int64_t> open;  // may still be the best, but not fully known
    double risk = 0;
    for (size_t m = 0; m < available_.size(); ++m) {
      if (!available_[m]) {
        continue;
      }
      const double spread = std::sqrt(estimates[m].variance + estimates[best].variance);
      const double behind = estimates[best].mean - estimates[m].mean;
      if (m == best || behind <= options_.deviations * spread) {
        if (estimates[m].variance > 0) {
          open.push_back(static_cast<int64_t>(m));
        }
      } else if (spread > 0) {
        risk += UpperTail(behind / spread);
      }
    }
    if (open.empty()) {
      risk_ += risk;
      CountAudit(static_cast<int64_t>(best), estimates[best].mean);
      return estimates[best].mean > 0 ? static_cast<int64_t>(best) : -1;
    }
    STYLEX_RETURN_IF_ERROR(table_.Evaluate(NextImages(open, estimates), open));
    for (const int64_t m : open) {
      estimates[static_cast<size_t>(m)] = EstimateMove(m, /*blind=*/false);
    }
    Progress();
  }
}

void ScreeningRace::CountAudit(int64_t best, double best_mean) {
  for (const int64_t m : audited_) {
    const size_t at = static_cast<size_t>(m);
    if (!available_[at]) {
      continue;
    }
    const Estimate blind = EstimateMove(m, /*blind=*/true);
    const bool kept = best_mean - blind.mean <= options_.deviations * blind.deviation();
    doubtful_[at] = doubtful_[at] || kept;
    missed_ += m == best && !kept ? 1 : 0;
  }
}

SelectedAttribute ScreeningRace::Describe(int64_t move) const {
  double sum = 0, flips = 0;
  for (const int64_t i : images_) {
    sum += table_.exact(i, move);
    flips += table_.flips(i, move) ? 1 : 0;
  }
  const auto n = static_cast<double>(images_.size());
  return {table_.CoordinateOf(move), sum / n, flips / n};
}

absl::StatusOr<ScreenedSelection> ScreeningRace::Run() {
  ScreenedSelection result;
  available_.assign(static_cast<size_t>(table_.moves()), true);
  doubtful_.assign(static_cast<size_t>(table_.moves()), false);
  STYLEX_RETURN_IF_ERROR(table_.Predict());
  GroupImages();
  STYLEX_RETURN_IF_ERROR(Audit());
  STYLEX_RETURN_IF_ERROR(Pilot());
  Progress();
  LearnErrors();
  std::vector<double> explained(images_.size());
  while (static_cast<int64_t>(result.attributes.size()) < options_.max_attributes) {
    unexplained_.assign(images_.size(), true);
    unexplained_count_ = static_cast<int64_t>(images_.size());
    for (size_t i = 0; i < images_.size(); ++i) {
      if (options_.explained_at > 0 && explained[i] >= options_.explained_at) {
        unexplained_[i] = false;
        --unexplained_count_;
      }
    }
    if (unexplained_count_ == 0) {
      break;
    }
    STYLEX_ASSIGN_OR_RETURN(const int64_t best, Best());
    if (best < 0) {
      break;
    }
    STYLEX_RETURN_IF_ERROR(table_.Evaluate(images_, std::span(&best, 1)));
    const SelectedAttribute described = Describe(best);
    if (described.mean_effect <= 0) {
      available_[static_cast<size_t>(best)] = false;
      continue;
    }
    result.attributes.push_back(described);
    const int64_t half = table_.moves() / 2;
    available_[static_cast<size_t>(best % half)] = false;
    available_[static_cast<size_t>(best % half + half)] = false;
    for (size_t i = 0; i < images_.size(); ++i) {
      explained[i] += Positive(table_.exact(static_cast<int64_t>(i), best));
    }
    ++steps_;
    Progress();
  }
  result.classifier_calls = table_.evaluations();
  result.confidence = std::max(0.0, 1 - risk_);
  result.audited = std::count_if(audited_.begin(), audited_.end(),
                                 [this](int64_t m) { return !doubtful_[static_cast<size_t>(m)]; });
  result.audit_misses = missed_;
  return result;
}

}  // namespace

absl::StatusOr<ScreenedSelection> SelectAttributesScreened(MoveTable* moves,
                                                           const ScreeningOptions& options) {
  return ScreeningRace(moves, options).Run();
}

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
  ModelMoves moves(model, styles, ranges, target, options.shift, options.control);
  return SelectAttributesScreened(&moves, options);
}

}  // namespace stylex
