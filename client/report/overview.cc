#include "client/report/overview.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/report/change.h"
#include "client/report/explanation.h"
#include "client/report/facts.h"
#include "image/codec.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

Json CountsOf(const ReportInputs& inputs) {
  std::map<std::string, int> outcomes = {
      {"convincing", 0}, {"just flipped", 0}, {"not flipped", 0}};
  std::map<std::string, int> flags;
  std::vector<size_t> moved;
  for (const Json& facts : inputs.facts) {
    const std::string outcome = facts["outcome"];
    ++outcomes[outcome];
    for (const Json& flag : facts["flags"]) {
      ++flags[flag.get<std::string>()];
    }
    if (outcome != "not flipped") {
      moved.push_back(facts["moves"].size());
    }
  }
  std::sort(moved.begin(), moved.end());
  Json counts = {{"photographs", inputs.facts.size()},
                 {"convincing", outcomes["convincing"]},
                 {"just_flipped", outcomes["just flipped"]},
                 {"not_flipped", outcomes["not flipped"]},
                 {"unlike_training", flags["unlike training"]},
                 {"poor_reconstruction", flags["poor reconstruction"]},
                 {"decided_otherwise", flags["reconstruction decided otherwise"]},
                 {"cannot_be_seen", flags["cannot be seen"]},
                 {"failed", inputs.failed.size()},
                 {"not_reached", inputs.asked - std::min(inputs.asked, inputs.facts.size() +
                                                                           inputs.failed.size())}};
  if (!moved.empty()) {
    const size_t lower = moved[(moved.size() - 1) / 2], upper = moved[moved.size() / 2];
    counts["attributes_moved_median"] = static_cast<double>(lower + upper) / 2;
  }
  return counts;
}

// How many of a class became which other one: rows by decision, in the order of the labels.
Json MatrixOf(const ReportInputs& inputs) {
  struct Cell {
    int tried = 0, flipped = 0, convincing = 0;
  };
  std::map<std::pair<std::string, std::string>, Cell> cells;
  for (const Json& facts : inputs.facts) {
    Cell& cell =
        cells[{facts["decided"]["label"].get<std::string>(), facts["target"].get<std::string>()}];
    const std::string outcome = facts["outcome"];
    ++cell.tried;
    cell.flipped += outcome != "not flipped" ? 1 : 0;
    cell.convincing += outcome == "convincing" ? 1 : 0;
  }
  Json matrix = Json::array();
  for (const auto& [classes, cell] : cells) {
    matrix.push_back({{"from", classes.first},
                      {"to", classes.second},
                      {"tried", cell.tried},
                      {"flipped", cell.flipped},
                      {"convincing", cell.convincing}});
  }
  return matrix;
}

const AttributePair* FindPair(const ReportInputs& inputs, int class_id,
                              const v1::Attribute& attribute) {
  const auto found =
      std::find_if(inputs.pairs.begin(), inputs.pairs.end(), [&](const AttributePair& pair) {
        return pair.class_id == class_id && pair.attribute == attribute.index() &&
               pair.direction == attribute.direction();
      });
  return found == inputs.pairs.end() ? nullptr : &*found;
}

Json AttributeOf(const ReportInputs& inputs, int class_id, const v1::Attribute& attribute) {
  const AttributePair* const pair = FindPair(inputs, class_id, attribute);
  const bool seen = pair != nullptr && !pair->words.empty();
  Json json = {{"attribute", attribute.index()},
               {"words", HasWords(attribute) || !seen ? AttributeText(attribute) : pair->words},
               {"source", SourceOfWords(attribute,
                                        seen ? "measured on the picture shown" : "without a name")},
               {"to", attribute.direction() == v1::DIRECTION_TO_MIN ? "min" : "max"},
               {"mean_effect", attribute.mean_effect()},
               {"flip_rate", attribute.flip_rate()}};
  if (pair != nullptr) {
    json["pair"] = {{"of", pair->of}, {"before", pair->before}, {"after", pair->after}};
  }
  return json;
}

Json AttributesOf(const ReportInputs& inputs) {
  Json classes = Json::array();
  for (const v1::ClassAttributes& of_class : inputs.model.attributes().classes()) {
    if (of_class.class_id() >= inputs.model.summary().labels_size()) {
      continue;
    }
    Json attributes = Json::array();
    for (int i = 0; i < std::min(of_class.attributes_size(), kAttributesShown); ++i) {
      attributes.push_back(AttributeOf(inputs, of_class.class_id(), of_class.attributes(i)));
    }
    classes.push_back({{"class", inputs.model.summary().labels(of_class.class_id())},
                       {"images", of_class.images()},
                       {"attributes", std::move(attributes)}});
  }
  return classes;
}

// What was measured of the model on images that it was not trained on.
Json LimitsOf(const v1::Model& model) {
  constexpr std::array<std::pair<const char*, const char*>, 7> kShown = {
      {{"classifier_accuracy", "of its decisions are right"},
       {"agreement", "of reconstructions are decided like their photographs"},
       {"flip_rate_joint_3", "of decisions flip with at most 3 attributes"},
       {"flip_rate_joint_10", "of decisions flip with at most 10 attributes"},
       {"flip_rate_random_10", "flip by 10 random coordinates: what chance does"},
       {"served_oracles_follow", "of its counterfactuals are followed by other classifiers"},
       {"served_on_photograph", "of changes hold on the photograph itself"}}};
  Json limits = Json::array();
  for (const auto& [name, meaning] : kShown) {
    const auto found = model.metrics().find(name);
    if (found != model.metrics().end()) {
      limits.push_back(absl::StrFormat("%.1f %% %s.", 100 * found->second, meaning));
    }
  }
  const auto ssim = model.metrics().find("ssim");
  if (ssim != model.metrics().end()) {
    limits.push_back(absl::StrFormat(
        "Reconstructions are %s: structural similarity %.2f, where 1 is the photograph itself.",
        ssim->second >= 0.9   ? "close"
        : ssim->second >= 0.7 ? "fair"
                              : "rough",
        ssim->second));
  }
  return limits;
}

Json ModelOf(const v1::Model& model) {
  Json labels = Json::array();
  for (const std::string& label : model.summary().labels()) {
    labels.push_back(label);
  }
  return {{"name", model.summary().name()},
          {"version", model.summary().version()},
          {"resolution", model.summary().resolution()},
          {"labels", std::move(labels)},
          {"style_coordinates", model.num_styles()},
          {"classifier", model.classifier().architecture()},
          {"dataset", model.provenance().dataset()},
          {"training_images", model.provenance().training_images()},
          {"code_version", model.provenance().code_version()}};
}

std::string CsvField(const std::string& text) {
  return text.find_first_of(",\"\r\n") == std::string::npos
             ? text
             : absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// A field of the facts as text; numbers as JSON writes them.
std::string CsvValue(const Json& value) {
  return CsvField(value.is_string() ? value.get<std::string>() : value.dump());
}

std::string CsvLine(const Json& facts) {
  std::vector<std::string> moved;
  for (const Json& move : facts["moves"]) {
    moved.push_back(move["words"].get<std::string>());
  }
  const auto flags = facts["flags"].get<std::vector<std::string>>();
  const Json& quality = facts["quality"];
  const std::vector<std::string> fields = {
      CsvValue(facts["path"]),
      CsvValue(facts["name"]),
      CsvValue(facts["folder_label"]),
      CsvValue(facts["decided"]["label"]),
      CsvValue(facts["decided"]["probability"]),
      CsvValue(facts["target"]),
      CsvValue(facts["outcome"]),
      CsvValue(facts["probability_before"]),
      CsvValue(facts["probability_after"]),
      CsvField(absl::StrJoin(moved, "; ")),
      CsvValue(facts["change"]["mean_delta_e"]),
      CsvValue(facts["change"]["visible_share"]),
      CsvValue(quality["ssim"]),
      quality.contains("percentile") ? CsvValue(quality["percentile"]) : "",
      facts.contains("on_photograph") ? CsvValue(facts["on_photograph"]["holds"]) : "",
      CsvField(absl::StrJoin(flags, "; ")),
      CsvValue(facts["reason"]),
      ""};
  return absl::StrJoin(fields, ",");
}

constexpr char kCsvHeader[] =
    "path,name,folder_label,decided,decided_probability,target,outcome,probability_before,"
    "probability_after,attributes,mean_delta_e,visible_share,ssim,percentile,holds_on_photograph,"
    "flags,reason,error";

}  // namespace

Json OverviewOf(const ReportInputs& inputs) {
  Json failed = Json::array();
  for (const FailedFile& file : inputs.failed) {
    failed.push_back({{"path", file.path}, {"error", file.error}});
  }
  return {{"program", "stylex " STYLEX_VERSION},
          {"model", ModelOf(inputs.model)},
          {"counts", CountsOf(inputs)},
          {"matrix", MatrixOf(inputs)},
          {"attributes", AttributesOf(inputs)},
          {"limits", LimitsOf(inputs.model)},
          {"legend", {{"text", MapLegend()}, {"brightest_delta_e", kBrightestDifference}}},
          {"failed", std::move(failed)}};
}

std::string ReportJson(const ReportInputs& inputs) {
  Json json = OverviewOf(inputs);
  for (Json& of_class : json["attributes"]) {
    for (Json& attribute : of_class["attributes"]) {
      attribute.erase("pair");
    }
  }
  json["photographs"] = inputs.facts;
  return json.dump(1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

std::string ReportCsv(const ReportInputs& inputs) {
  std::string csv = absl::StrCat(kCsvHeader, "\r\n");
  for (const Json& facts : inputs.facts) {
    absl::StrAppend(&csv, CsvLine(facts), "\r\n");
  }
  const auto columns = std::count(std::begin(kCsvHeader), std::end(kCsvHeader), ',');
  for (const FailedFile& file : inputs.failed) {
    absl::StrAppend(&csv, CsvField(file.path), std::string(static_cast<size_t>(columns), ','),
                    CsvField(file.error), "\r\n");
  }
  return csv;
}

}  // namespace stylex
