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

// Moves of a shortlist that are tried together before checking whether one reaches the target:
// enough for batches on a few cores.
constexpr size_t kTriedTogether = 16;
constexpr size_t kPromising = 8;

// `set` with each of `more` added.
absl::StatusOr<std::vector<JointSet>> AddEach(const ImageUnderSearch& image, const JointSet& set,
                                              std::span<const Move> more) {
  std::vector<JointSet> sets;
  if (more.empty()) {
    return sets;
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image.LogitsWithOneMore(set.moves, more));
  const torch::Tensor scores = image.Score(logits);
  for (size_t i = 0; i < more.size(); ++i) {
    JointSet& added = sets.emplace_back(set);
    added.moves.push_back(more[i]);
    added.logits = logits[static_cast<int64_t>(i)];
    added.score = scores[static_cast<int64_t>(i)].item<float>();
  }
  return sets;
}

// The moves in sorted order, for comparison.
std::vector<std::pair<int64_t, int>> Members(const MoveSet& moves) {
  std::vector<std::pair<int64_t, int>> members;
  for (const Move& move : moves) {
    members.emplace_back(move.coordinate.index, move.coordinate.direction);
  }
  std::sort(members.begin(), members.end());
  return members;
}

// The `count` distinct sets with the greatest scores, greatest first.
std::vector<JointSet> Best(std::vector<JointSet> sets, int64_t count) {
  std::stable_sort(sets.begin(), sets.end(),
                   [](const JointSet& a, const JointSet& b) { return a.score > b.score; });
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

// Adds to `next` the sets enlarged by one of `coordinates` if that raises their score, evaluating
// `together` at a time; returns whether one reaches the target, after which no more are tried.
absl::StatusOr<bool> TryInTurn(const ImageUnderSearch& image, const JointSet& set,
                               const std::vector<Coordinate>& coordinates, size_t together,
                               std::vector<JointSet>* next) {
  const std::vector<Move> more = MovesBy(image.options().shift, coordinates);
  for (size_t start = 0; start < more.size(); start += together) {
    STYLEX_ASSIGN_OR_RETURN(
        std::vector<JointSet> larger,
        AddEach(image, set,
                std::span(more).subspan(start, std::min(together, more.size() - start))));
    const bool reached = std::any_of(larger.begin(), larger.end(), [&](const JointSet& added) {
      return image.Reached(added.logits);
    });
    std::copy_if(std::make_move_iterator(larger.begin()), std::make_move_iterator(larger.end()),
                 std::back_inserter(*next),
                 [&](const JointSet& added) { return added.score > set.score; });
    if (reached) {
      return true;
    }
  }
  return false;
}

// Moves that are tried before computing a gradient, which costs as much as many moves: for the
// image itself the target's attributes in the index, later those with the greatest single effects.
std::vector<Coordinate> Promising(const ImageUnderSearch& image, const MoveSet& moves,
                                  const std::vector<JointSet>& singles) {
  std::vector<Coordinate> known = image.options().favourites;
  if (!moves.empty()) {
    known.clear();
    for (const JointSet& single : Best(singles, static_cast<int64_t>(singles.size()))) {
      known.push_back(single.moves[0].coordinate);
    }
  }
  std::vector<Coordinate> promising;
  for (const Coordinate& move : known) {
    if (promising.size() < kPromising && !IsMoved(move.index, moves)) {
      promising.push_back(move);
    }
  }
  return promising;
}

// The sets enlarged by one of `candidates` if that raises their score. With shortlists the
// promising ones come first, and no more are tried once a set reaches the target.
absl::StatusOr<std::vector<JointSet>> Enlarge(const ImageUnderSearch& image,
                                              const std::vector<Coordinate>& candidates,
                                              const std::vector<JointSet>& sets,
                                              const std::vector<JointSet>& singles) {
  std::vector<JointSet> next;
  std::vector<const MoveSet*> moves;
  std::vector<std::vector<Coordinate>> promising(sets.size());
  const bool ranked = image.TriesShortlist(candidates.size());
  for (size_t i = 0; i < sets.size(); ++i) {
    moves.push_back(&sets[i].moves);
    if (ranked) {
      promising[i] = Promising(image, sets[i].moves, singles);
      STYLEX_ASSIGN_OR_RETURN(const bool reached,
                              TryInTurn(image, sets[i], promising[i], kPromising, &next));
      if (reached) {
        return next;
      }
    }
  }
  const std::vector<std::vector<Coordinate>> shortlists =
      image.Shortlists(moves, candidates, promising);
  for (size_t i = 0; i < sets.size(); ++i) {
    const size_t together = ranked ? kTriedTogether : std::max<size_t>(shortlists[i].size(), 1);
    STYLEX_ASSIGN_OR_RETURN(const bool reached,
                            TryInTurn(image, sets[i], shortlists[i], together, &next));
    if (ranked && reached) {
      return next;
    }
  }
  return next;
}

// Enumerates all subsets of one size depth first; each step reuses the trace of the preceding
// moves.
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
      if (image_.Reached(candidate.logits) && (!reaching_ || candidate.score > reaching_->score)) {
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
  grown.best = {{}, image.base(), image.Score(image.base()).item<float>()};
  std::vector<JointSet> front = {grown.best};
  for (int64_t size = 1; size <= max_moves; ++size) {
    std::vector<JointSet> next;
    if (size == 1 && !singles->empty()) {
      next = *singles;
    } else {
      STYLEX_ASSIGN_OR_RETURN(next, Enlarge(image, candidates, front, *singles));
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
