#include "trainer/study/attribute_description.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "image/appearance.h"
#include "trainer/data/encoded_images.h"

namespace stylex {
namespace {

constexpr size_t kChangesTold = 2;
constexpr size_t kColours = 3;
constexpr double kSmallArea = 0.15;  // of the pixels
constexpr size_t kLeastImages = 5;   // that are seen to change

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

// The values of all measures, before and after, on the images that are seen to change.
struct Observations {
  std::vector<std::vector<double>> from, to;                       // [measure][image]
  std::array<std::vector<double>, kColours> local_from, local_to;  // where it changes
  AttributeDescription description;                                // without words
};

// `values`: those of each picture before.
Observations Observe(const std::vector<Bitmap>& before,
                     const std::vector<std::vector<double>>& values,
                     const std::vector<Bitmap>& after) {
  const size_t measures = AppearanceMeasures().size();
  Observations observed;
  observed.from.resize(measures);
  observed.to.resize(measures);
  AttributeDescription& description = observed.description;
  double changed = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const VisibleChange visible = FindVisibleChange(before[i], after[i]);
    if (visible.area == 0) {
      continue;
    }
    ++changed;
    description.visible_area += visible.area;
    description.x += visible.x;
    description.y += visible.y;
    const std::vector<double> moved = MeasureAppearance(after[i], before[i]);
    for (size_t m = 0; m < measures; ++m) {
      observed.from[m].push_back(values[i][m]);
      observed.to[m].push_back(moved[m]);
    }
    for (size_t c = 0; c < kColours; ++c) {
      observed.local_from[c].push_back(visible.before[c]);
      observed.local_to[c].push_back(visible.after[c]);
    }
  }
  const double count = std::max(1.0, changed);
  description.affected = changed / std::max<double>(1, static_cast<double>(before.size()));
  description.visible_area /= count;
  description.x /= count;
  description.y /= count;
  return observed;
}

void AddIfSeen(const AppearanceMeasure& measure, const std::vector<double>& before,
               const std::vector<double>& after,
               std::vector<std::pair<std::string, v1::AttributeChange>>* changes) {
  if (before.size() < kLeastImages) {
    return;
  }
  const Statistic statistic = StatisticOf(before, after);
  const double effect = statistic.change / std::max(statistic.deviation, measure.least);
  if (std::abs(statistic.change) < measure.least || std::abs(effect) < kLeastEffect ||
      statistic.agreement < kLeastAgreement) {
    return;
  }
  v1::AttributeChange change;
  change.set_words(measure.Words(statistic.change > 0));
  change.set_change(statistic.change);
  change.set_effect(effect);
  change.set_agreement(statistic.agreement);
  changes->emplace_back(measure.quantity, std::move(change));
}

std::vector<std::vector<double>> ValuesOf(const std::vector<Bitmap>& pictures) {
  std::vector<std::vector<double>> values;
  for (const Bitmap& picture : pictures) {
    values.push_back(MeasureAppearance(picture, picture));
  }
  return values;
}

AttributeDescription Describe(const Observations& observed) {
  AttributeDescription description = observed.description;
  std::vector<std::pair<std::string, v1::AttributeChange>> changes;
  const std::vector<AppearanceMeasure>& measures = AppearanceMeasures();
  const bool small = description.visible_area <= kSmallArea;
  for (size_t m = 0; m < measures.size(); ++m) {
    // Colours of a small change are told for where it is, not for parts that it is a bit of.
    const bool colour = measures[m].quantity.ends_with('*');
    if (!(small && colour)) {
      AddIfSeen(measures[m], observed.from[m], observed.to[m], &changes);
    }
  }
  if (small) {
    const std::string place = PositionWords(description.x, description.y);
    for (size_t c = 0; c < kColours; ++c) {
      AppearanceMeasure there = measures[c];  // L*, a*, b*, overall
      there.place = place;
      AddIfSeen(there, observed.local_from[c], observed.local_to[c], &changes);
    }
  }
  KeepStrongest(&changes);
  for (auto& [quantity, change] : changes) {
    description.changes.push_back(std::move(change));
  }
  return description;
}

}  // namespace

AttributeDescription DescribeChange(const std::vector<Bitmap>& before,
                                    const std::vector<Bitmap>& after) {
  return Describe(Observe(before, ValuesOf(before), after));
}

std::vector<AttributeDescription> DescribeAttributes(const Stylex& model,
                                                     const StyleVectors& styles,
                                                     const StyleRanges& ranges, double shift,
                                                     const std::vector<Coordinate>& coordinates,
                                                     Progress* progress) {
  const torch::NoGradGuard no_grad;
  const std::vector<Bitmap> before = DrawAll(model, styles);
  const std::vector<std::vector<double>> values = ValuesOf(before);
  std::vector<AttributeDescription> descriptions;
  progress->Start("descriptions", 0, static_cast<int64_t>(coordinates.size()));
  for (const Coordinate& coordinate : coordinates) {
    const Move move{coordinate, shift};
    AttributeDescription description =
        Describe(Observe(before, values, DrawAll(model, ApplyMoves(styles, ranges, {&move, 1}))));
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
