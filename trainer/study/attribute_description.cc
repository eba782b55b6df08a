#include "trainer/study/attribute_description.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "image/appearance.h"
#include "models/pixels.h"

namespace stylex {
namespace {

constexpr int64_t kBatch = 32;
constexpr size_t kChangesTold = 2;

// Of one measure over the images: its change, its standard deviation before, and how many images
// share the sense of the mean change.
struct Statistic {
  double change = 0, deviation = 0, agreement = 0;
};

Statistic StatisticOf(const std::vector<double>& before, const std::vector<double>& after) {
  const double count = static_cast<double>(before.size());
  Statistic statistic;
  double mean = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    mean += before[i] / count;
    statistic.change += (after[i] - before[i]) / count;
  }
  double agreeing = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    statistic.deviation += (before[i] - mean) * (before[i] - mean) / count;
    agreeing += (after[i] - before[i]) * statistic.change > 0 ? 1 : 0;
  }
  statistic.deviation = std::sqrt(statistic.deviation);
  statistic.agreement = agreeing / count;
  return statistic;
}

std::vector<Bitmap> Draw(const Stylex& model, const StyleVectors& styles) {
  torch::NoGradGuard no_grad;
  std::vector<Bitmap> drawn;
  for (int64_t start = 0; start < styles.conv.size(0); start += kBatch) {
    const int64_t length = std::min(kBatch, styles.conv.size(0) - start);
    for (Bitmap& bitmap : TensorToBitmaps(model.Synthesize(styles.Narrow(start, length)))) {
      drawn.push_back(std::move(bitmap));
    }
  }
  return drawn;
}

// Of each quantity only where it is strongest, the strongest first.
void KeepStrongest(std::vector<std::pair<std::string, v1::AttributeChange>>* changes) {
  std::stable_sort(changes->begin(), changes->end(), [](const auto& a, const auto& b) {
    return std::abs(a.second.effect()) > std::abs(b.second.effect());
  });
  std::set<std::string> seen;
  std::erase_if(*changes, [&](const auto& change) { return !seen.insert(change.first).second; });
}

// Adjectives that say a change: "redder", "larger", not the things that change.
std::set<std::string> ChangeWords() {
  std::set<std::string> words;
  for (const AppearanceMeasure& measure : AppearanceMeasures()) {
    for (const std::string& text : {measure.more, measure.less}) {
      if (text.find(' ') == std::string::npos) {
        words.insert(text);
      }
    }
  }
  return words;
}

std::set<std::string> WordsOf(const std::string& text) {
  const std::vector<std::string> words =
      absl::StrSplit(absl::AsciiStrToLower(text), absl::ByAnyChar(" ,;:/()"), absl::SkipEmpty());
  return {words.begin(), words.end()};
}

}  // namespace

AttributeDescription DescribeChange(const std::vector<Bitmap>& before,
                                    const std::vector<Bitmap>& after) {
  const std::vector<AppearanceMeasure>& measures = AppearanceMeasures();
  std::vector<std::vector<double>> from(measures.size()), to(measures.size());
  AttributeDescription description;
  double changed = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const std::vector<double> a = MeasureAppearance(before[i], before[i]);
    const std::vector<double> b = MeasureAppearance(after[i], before[i]);
    for (size_t m = 0; m < measures.size(); ++m) {
      from[m].push_back(a[m]);
      to[m].push_back(b[m]);
    }
    const VisibleChange visible = FindVisibleChange(before[i], after[i]);
    description.visible_area += visible.area / static_cast<double>(before.size());
    changed += visible.area > 0 ? 1 : 0;
    description.x += visible.x;
    description.y += visible.y;
  }
  description.x /= std::max(1.0, changed);
  description.y /= std::max(1.0, changed);
  std::vector<std::pair<std::string, v1::AttributeChange>> changes;
  for (size_t m = 0; m < measures.size(); ++m) {
    const Statistic statistic = StatisticOf(from[m], to[m]);
    const double effect = statistic.change / std::max(statistic.deviation, measures[m].least);
    if (std::abs(statistic.change) < measures[m].least || std::abs(effect) < kLeastEffect ||
        statistic.agreement < kLeastAgreement) {
      continue;
    }
    v1::AttributeChange change;
    change.set_words(measures[m].Words(statistic.change > 0));
    change.set_change(statistic.change);
    change.set_effect(effect);
    change.set_agreement(statistic.agreement);
    changes.emplace_back(measures[m].quantity, std::move(change));
  }
  KeepStrongest(&changes);
  for (auto& [quantity, change] : changes) {
    description.changes.push_back(std::move(change));
  }
  return description;
}

std::vector<AttributeDescription> DescribeAttributes(const Stylex& model,
                                                     const StyleVectors& styles,
                                                     const StyleRanges& ranges, double shift,
                                                     const std::vector<Coordinate>& coordinates,
                                                     Progress* progress) {
  const std::vector<Bitmap> before = Draw(model, styles);
  std::vector<AttributeDescription> descriptions;
  progress->Start("descriptions", 0, static_cast<int64_t>(coordinates.size()));
  for (const Coordinate& coordinate : coordinates) {
    const Move move{coordinate, shift};
    AttributeDescription description =
        DescribeChange(before, Draw(model, ApplyMoves(styles, ranges, {&move, 1})));
    description.coordinate = coordinate;
    descriptions.push_back(std::move(description));
    progress->Advance(static_cast<int64_t>(descriptions.size()), "");
  }
  progress->End();
  return descriptions;
}

void Reword(const std::map<std::string, std::string>& words, AttributeDescription* description) {
  for (v1::AttributeChange& change : description->changes) {
    for (const auto& [place, word] : words) {
      if (change.words().starts_with(place + " ")) {
        change.set_words(absl::StrCat(word, change.words().substr(place.size())));
        break;
      }
    }
  }
}

std::string DescriptionText(const AttributeDescription& description) {
  std::string text;
  for (size_t i = 0; i < std::min(kChangesTold, description.changes.size()); ++i) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", description.changes[i].words());
  }
  return text;
}

std::vector<std::string> UnmeasuredWords(
    const std::string& name,
    const google::protobuf::RepeatedPtrField<v1::AttributeChange>& changes) {
  std::set<std::string> measured;
  for (const v1::AttributeChange& change : changes) {
    measured.merge(WordsOf(change.words()));
  }
  std::vector<std::string> unmeasured;
  const std::set<std::string> known = ChangeWords();
  for (const std::string& word : WordsOf(name)) {
    if (known.contains(word) && !measured.contains(word)) {
      unmeasured.push_back(word);
    }
  }
  return unmeasured;
}

}  // namespace stylex
