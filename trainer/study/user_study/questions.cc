#include "trainer/study/user_study/questions.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "image/canvas.h"
#include "image/gif.h"
#include "image/resize.h"
#include "models/pixels.h"
#include "trainer/data/encoded_images.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

constexpr int64_t kPicturesOfAQuestion = 4;
constexpr int kFrameMs = 600;
constexpr uint64_t kQuestionOrder = 41;
constexpr uint64_t kAnswers = 42;
constexpr uint64_t kDistractors = 43;
constexpr uint64_t kPictures = 44;

std::vector<int64_t> Shuffled(std::vector<int64_t> values, uint64_t seed) {
  std::vector<int64_t> result;
  for (const int64_t i : EpochOrder(static_cast<int64_t>(values.size()), seed, /*epoch=*/0)) {
    result.push_back(values[static_cast<size_t>(i)]);
  }
  return result;
}

class Planner {
 public:
  Planner(const std::vector<StudyAttribute>& attributes, const StudyPictures& pictures,
          int64_t num_classes, uint64_t seed)
      : attributes_(attributes),
        decided_(pictures.decided.contiguous()),
        change_(pictures.change.to(torch::kFloat64).contiguous()),
        num_classes_(num_classes),
        seed_(seed) {}

  absl::StatusOr<StudyQuestion> Plan(size_t attribute, size_t distractor, int64_t number,
                                     bool a_is_right) {
    const int64_t target = attributes_[attribute].target;
    const Coordinate right = attributes_[attribute].coordinate;
    const Coordinate wrong = Towards(distractor, target);
    const uint64_t seed = SeedFor(seed_, static_cast<uint64_t>(number), kPictures);
    STYLEX_ASSIGN_OR_RETURN(std::vector<int64_t> shown, Showing(attribute, target, seed));
    std::vector<int64_t> others = OfClass(shown[0], target);
    std::erase_if(others, [&](int64_t n) { return Has(shown, n); });
    others = UpperHalf(std::move(others), distractor, wrong.direction, /*least=*/1);
    const StudyClip wrong_clip{LeastUsed(others, seed), wrong};
    used_.insert(wrong_clip.picture);
    const StudyClip right_clip{shown[2], right};
    StudyQuestion question{
        attribute, distractor, {{{shown[0], right}, {shown[1], right}}}, {}, 'A'};
    question.choices = a_is_right ? std::array<StudyClip, 2>{right_clip, wrong_clip}
                                  : std::array<StudyClip, 2>{wrong_clip, right_clip};
    question.answer = a_is_right ? 'A' : 'B';
    return question;
  }

 private:
  static bool Has(const std::vector<int64_t>& values, int64_t value) {
    return std::find(values.begin(), values.end(), value) != values.end();
  }
  int64_t DecidedAs(int64_t picture) const { return decided_.data_ptr<int64_t>()[picture]; }
  double Change(int64_t picture, size_t attribute, int direction) const {
    return change_.accessor<double, 3>()[picture][static_cast<int64_t>(attribute)][direction];
  }

  // The attribute's move in a question about raising `target`.
  Coordinate Towards(size_t attribute, int64_t target) const {
    Coordinate coordinate = attributes_[attribute].coordinate;
    if (num_classes_ == 2 && attributes_[attribute].target != target) {
      coordinate.direction = 1 - coordinate.direction;
    }
    return coordinate;
  }

  std::vector<int64_t> NotDecidedAs(int64_t target) const {
    std::vector<int64_t> pictures;
    for (int64_t n = 0; n < decided_.size(0); ++n) {
      if (DecidedAs(n) != target) {
        pictures.push_back(n);
      }
    }
    return pictures;
  }

  // The pictures with the same decision as `picture`.
  std::vector<int64_t> OfClass(int64_t picture, int64_t target) const {
    std::vector<int64_t> pictures = NotDecidedAs(target);
    std::erase_if(pictures, [&](int64_t n) { return DecidedAs(n) != DecidedAs(picture); });
    return pictures;
  }

  std::vector<int64_t> UpperHalf(std::vector<int64_t> pictures, size_t attribute, int direction,
                                 size_t least) const {
    std::stable_sort(pictures.begin(), pictures.end(), [&](int64_t a, int64_t b) {
      return Change(a, attribute, direction) > Change(b, attribute, direction);
    });
    pictures.resize(std::min(pictures.size(), std::max(least, (pictures.size() + 1) / 2)));
    return pictures;
  }

  // Prefers pictures that no question has shown yet.
  int64_t LeastUsed(const std::vector<int64_t>& pictures, uint64_t seed) const {
    std::vector<int64_t> order = Shuffled(pictures, seed);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return used_.count(a) < used_.count(b); });
    return order[0];
  }

  // Three pictures of one class that has at least four, chosen among those in which the change is
  // visible.
  absl::StatusOr<std::vector<int64_t>> Showing(size_t attribute, int64_t target, uint64_t seed) {
    const int direction = attributes_[attribute].coordinate.direction;
    const std::vector<int64_t> pool =
        UpperHalf(NotDecidedAs(target), attribute, direction, kPicturesOfAQuestion);
    for (const int64_t first : Shuffled(pool, seed)) {
      std::vector<int64_t> same = OfClass(first, target);
      const bool enough = static_cast<int64_t>(same.size()) >= kPicturesOfAQuestion;
      std::erase_if(same, [&](int64_t n) { return !Has(pool, n); });
      if (!enough || same.size() + 1 < kPicturesOfAQuestion) {
        continue;
      }
      std::vector<int64_t> shown;
      while (static_cast<int64_t>(shown.size()) + 1 < kPicturesOfAQuestion) {
        shown.push_back(LeastUsed(same, seed + shown.size()));
        used_.insert(shown.back());
        std::erase(same, shown.back());
      }
      return shown;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "style coordinate ", attributes_[attribute].coordinate.index,
        ": no class has four pictures that can show its change without being decided as class ",
        target, " already; take more --images"));
  }

  const std::vector<StudyAttribute>& attributes_;
  const torch::Tensor decided_, change_;
  const int64_t num_classes_;
  const uint64_t seed_;
  std::multiset<int64_t> used_;
};

Bitmap Frame(const Bitmap& picture, int side, const char* caption) {
  constexpr int kMargin = 3;
  Canvas canvas(side, side + Canvas::kLineHeight + 2 * kMargin);
  canvas.Draw(ResizeBicubic(picture, side, side), 0, 0);
  canvas.Text(caption, (side - Canvas::TextWidth(caption)) / 2, side + kMargin);
  return canvas.bitmap();
}

}  // namespace

absl::StatusOr<std::vector<StudyAttribute>> ChooseStudyAttributes(const v1::AttributeIndex& index,
                                                                  int64_t count,
                                                                  std::optional<int64_t> target) {
  struct Entry {
    double effect;
    StudyAttribute attribute;
  };
  std::vector<Entry> entries;
  for (const v1::ClassAttributes& of_class : index.classes()) {
    if (target && of_class.class_id() != *target) {
      continue;
    }
    for (const v1::Attribute& attribute : of_class.attributes()) {
      entries.push_back({attribute.mean_effect(), {ToCoordinate(attribute), of_class.class_id()}});
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.effect > b.effect; });
  std::vector<StudyAttribute> chosen;
  std::set<int64_t> taken;
  for (const Entry& entry : entries) {
    if (static_cast<int64_t>(chosen.size()) < count &&
        taken.insert(entry.attribute.coordinate.index).second) {
      chosen.push_back(entry.attribute);
    }
  }
  if (static_cast<int64_t>(chosen.size()) < count) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the attribute index has ", chosen.size(), " different coordinates",
        target ? absl::StrCat(" for class ", *target) : "", ", the study wants ", count,
        "; run `stylex-train attributes` with more --images, or ask for fewer"));
  }
  return chosen;
}

StudyPictures MeasureStudyPictures(const Stylex& model, const StyleVectors& styles,
                                   const StyleRanges& ranges,
                                   const std::vector<StudyAttribute>& attributes, double shift) {
  torch::NoGradGuard no_grad;
  const int64_t count = static_cast<int64_t>(attributes.size());
  std::vector<torch::Tensor> decided, changes;
  for (int64_t start = 0; start < styles.conv.size(0); start += kDrawBatch) {
    const StyleVectors part =
        styles.Narrow(start, std::min(kDrawBatch, styles.conv.size(0) - start));
    const torch::Tensor before = model.Synthesize(part);
    decided.push_back(model.Logits(before).argmax(1).to(torch::kCPU));
    torch::Tensor change = torch::empty({before.size(0), count, 2});
    for (int64_t a = 0; a < count; ++a) {
      for (int direction = 0; direction < 2; ++direction) {
        const Move move{{attributes[static_cast<size_t>(a)].coordinate.index, direction}, shift};
        const torch::Tensor after = model.Synthesize(ApplyMoves(part, ranges, {&move, 1}));
        change.select(1, a).select(1, direction).copy_((after - before).abs().mean({1, 2, 3}));
      }
    }
    changes.push_back(change);
  }
  return {torch::cat(decided), torch::cat(changes)};
}

absl::StatusOr<std::vector<StudyQuestion>> PlanStudy(const std::vector<StudyAttribute>& attributes,
                                                     const StudyPictures& pictures,
                                                     int64_t num_classes, int64_t questions,
                                                     uint64_t seed) {
  const int64_t count = static_cast<int64_t>(attributes.size());
  if (count < 2) {
    return absl::InvalidArgumentError(
        "a study needs at least two attributes: one is asked for, another distracts");
  }
  const int64_t total = count * questions;
  const std::vector<int64_t> answers = EpochOrder(total, SeedFor(seed, 0, kAnswers), 0);
  Planner planner(attributes, pictures, num_classes, seed);
  std::vector<StudyQuestion> planned;
  for (int64_t a = 0; a < count; ++a) {
    std::vector<int64_t> others;
    for (int64_t o = 1; o < count; ++o) {
      others.push_back((a + o) % count);
    }
    others = Shuffled(others, SeedFor(seed, static_cast<uint64_t>(a), kDistractors));
    for (int64_t q = 0; q < questions; ++q) {
      const int64_t number = a * questions + q;
      const size_t distractor = static_cast<size_t>(others[static_cast<size_t>(q) % others.size()]);
      STYLEX_ASSIGN_OR_RETURN(StudyQuestion question,
                              planner.Plan(static_cast<size_t>(a), distractor, number,
                                           answers[static_cast<size_t>(number)] % 2 == 0));
      planned.push_back(question);
    }
  }
  std::vector<StudyQuestion> shuffled;
  for (const int64_t i : EpochOrder(total, SeedFor(seed, 0, kQuestionOrder), 0)) {
    shuffled.push_back(planned[static_cast<size_t>(i)]);
  }
  return shuffled;
}

absl::StatusOr<std::string> DrawStudyClip(const Stylex& model, const StyleVectors& styles,
                                          const StyleRanges& ranges, const StudyClip& clip,
                                          double shift, int side) {
  torch::NoGradGuard no_grad;
  const StyleVectors picture = styles.Narrow(clip.picture, 1);
  const Move move{clip.coordinate, shift};
  const Bitmap before = TensorToBitmap(model.Synthesize(picture));
  const Bitmap after = TensorToBitmap(model.Synthesize(ApplyMoves(picture, ranges, {&move, 1})));
  const std::array<Bitmap, 2> frames = {Frame(before, side, "before"), Frame(after, side, "after")};
  return EncodeGif(frames, kFrameMs);
}

}  // namespace stylex
