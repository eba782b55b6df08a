#include "explain/joint_search.h"

#include <torch/types.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "base/status_macros.h"

namespace stylex {
namespace {

// Moves of a shortlist that are tried before looking whether one has reached the target: enough for
// batches on a few cores.
constexpr size_t kTriedTogether = 16;

// `set` with each of `more` added.
absl::StatusOr<std::vector<JointSet>> AddEach(const ImageUnderSearch& image, const JointSet& set,
                                              std::span<const Move> more) {
  std::vector<JointSet> sets;
  if (more.empty()) {
    return sets;
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image.LogitsWithOneMore(set.moves, more));
  const torch::Tensor margins = image.Margin(logits);
  for (size_t i = 0; i < more.size(); ++i) {
    JointSet& added = sets.emplace_back(set);
    added.moves.push_back(more[i]);
    added.logits = logits[static_cast<int64_t>(i)];
    added.margin = margins[static_cast<int64_t>(i)].item<float>();
  }
  return sets;
}

// The sets with one more of `candidates` each, where that raises their margin. In shortlists the
// most promising come first: nothing more is tried then once a set has reached the target.
absl::StatusOr<std::vector<JointSet>> Enlarge(const ImageUnderSearch& image,
                                              const std::vector<Coordinate>& candidates,
                                              const std::vector<JointSet>& sets) {
  std::vector<const MoveSet*> moves;
  std::transform(sets.begin(), sets.end(), std::back_inserter(moves),
                 [](const JointSet& set) { return &set.moves; });
  const std::vector<std::vector<Coordinate>> shortlists = image.Shortlists(moves, candidates);
  const bool ranked = image.options().shortlist > 0;
  std::vector<JointSet> next;
  for (size_t i = 0; i < sets.size(); ++i) {
    const std::vector<Move> more = MovesBy(image.options().shift, shortlists[i]);
    const size_t together = ranked ? kTriedTogether : more.size();
    for (size_t start = 0; start < more.size(); start += together) {
      STYLEX_ASSIGN_OR_RETURN(
          std::vector<JointSet> larger,
          AddEach(image, sets[i],
                  std::span(more).subspan(start, std::min(together, more.size() - start))));
      const bool reached = std::any_of(larger.begin(), larger.end(), [&](const JointSet& added) {
        return image.Reached(added.logits);
      });
      std::copy_if(std::make_move_iterator(larger.begin()), std::make_move_iterator(larger.end()),
                   std::back_inserter(next),
                   [&](const JointSet& added) { return added.margin > sets[i].margin; });
      if (ranked && reached) {
        return next;
      }
    }
  }
  return next;
}

// The same moves in whatever order.
std::vector<std::pair<int64_t, int>> Members(const MoveSet& moves) {
  std::vector<std::pair<int64_t, int>> members;
  for (const Move& move : moves) {
    members.emplace_back(move.coordinate.index, move.coordinate.direction);
  }
  std::sort(members.begin(), members.end());
  return members;
}

// The `count` different sets of the greatest margins, greatest first.
std::vector<JointSet> Best(std::vector<JointSet> sets, int64_t count) {
  std::stable_sort(sets.begin(), sets.end(),
                   [](const JointSet& a, const JointSet& b) { return a.margin > b.margin; });
  std::vector<JointSet> best;
  std::set<std::vector<std::pair<int64_t, int>>> seen;
  for (JointSet& set : sets) {
    if (static_cast<int64_t>(best.size()) == count) {
      break;
    }
    if (seen.insert(Members(set.moves)).second) {
      best.push_back(std::move(set));
    }
  }
  return best;
}

// All subsets of one size, depth first; each step shares the trace of the moves before.
class SubsetsOfSize {
 public:
  SubsetsOfSize(const ImageUnderSearch& image, std::span<const Move> moves, size_t size)
      : image_(image), moves_(moves), size_(size) {}

  absl::Status Try(const JointSet& set, size_t from) {
    if (set.moves.size() + 1 < size_) {
      for (size_t i = from; i < moves_.size(); ++i) {
        JointSet with = set;
        with.moves.push_back(moves_[i]);
        STYLEX_RETURN_IF_ERROR(Try(with, i + 1));
      }
      return absl::OkStatus();
    }
    STYLEX_ASSIGN_OR_RETURN(const std::vector<JointSet> sets,
                            AddEach(image_, set, moves_.subspan(from)));
    tried_ += static_cast<int64_t>(sets.size());
    for (const JointSet& candidate : sets) {
      if (image_.Reached(candidate.logits) &&
          (!reaching_ || candidate.margin > reaching_->margin)) {
        reaching_ = candidate;
      }
    }
    return absl::OkStatus();
  }

  int64_t tried() const { return tried_; }
  const std::optional<JointSet>& reaching() const { return reaching_; }

 private:
  const ImageUnderSearch& image_;
  const std::span<const Move> moves_;
  const size_t size_;
  int64_t tried_ = 0;
  std::optional<JointSet> reaching_;
};

}  // namespace

absl::StatusOr<Grown> GrowJointly(const ImageUnderSearch& image,
                                  const std::vector<Coordinate>& candidates, int64_t width,
                                  int64_t max_moves, std::vector<JointSet>* singles) {
  Grown grown;
  grown.best = {{}, image.base(), image.Margin(image.base()).item<float>()};
  std::vector<JointSet> front = {grown.best};
  for (int64_t size = 1; size <= max_moves; ++size) {
    std::vector<JointSet> next;
    if (size == 1 && !singles->empty()) {
      next = *singles;
    } else {
      STYLEX_ASSIGN_OR_RETURN(next, Enlarge(image, candidates, front));
    }
    if (size == 1) {
      *singles = next;
    }
    if (next.empty()) {
      return grown;
    }
    front = Best(std::move(next), width);
    const auto reached = std::find_if(
        front.begin(), front.end(), [&](const JointSet& set) { return image.Reached(set.logits); });
    grown.best = reached == front.end() ? front.front() : *reached;
    if (reached != front.end()) {
      grown.outcome = CounterfactualOutcome::kFlipped;
      return grown;
    }
  }
  grown.outcome = CounterfactualOutcome::kBudgetExhausted;
  return grown;
}

absl::StatusOr<SubsetsTried> TrySmallerSubsets(const ImageUnderSearch& image,
                                               const std::vector<Move>& moves, int64_t size) {
  SubsetsTried result;
  for (size_t smaller = 1; static_cast<int64_t>(smaller) < size && !result.smallest; ++smaller) {
    SubsetsOfSize subsets(image, moves, smaller);
    STYLEX_RETURN_IF_ERROR(subsets.Try({}, 0));
    result.subsets += subsets.tried();
    result.smallest = subsets.reaching();
  }
  return result;
}

}  // namespace stylex
