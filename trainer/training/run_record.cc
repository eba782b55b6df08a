#include "trainer/training/run_record.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <torch/serialize.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "trainer/data/inventory.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// Fields that a run may change when it goes on: its length, and what does not affect its steps.
constexpr std::array<std::string_view, 7> kChangeable = {
    "stylex.images",    "stylex.saveIntervalImages", "stylex.sampleIntervalImages",
    "data.path",        "data.description",          "model.name",
    "model.description"};

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, google::protobuf::io::ColumnNumber, const std::string& message) override {
    if (text.empty()) {
      text = message;
    }
  }
  std::string text;
};

bool Parses(const std::string& text, Message* message, std::string* error) {
  TextFormat::Parser parser;
  FirstError collector;
  parser.RecordErrorsTo(&collector);
  const bool parsed = parser.ParseFromString(text, message);
  *error = collector.text;
  return parsed;
}

// A classifier's fingerprint is its training's options followed by the model's.
bool ParsesAsClassifier(const std::string& text, v1::TrainConfig* config) {
  std::string ignored;
  for (size_t end = text.find(' '); end != std::string::npos; end = text.find(' ', end + 1)) {
    if (Parses(text.substr(0, end), config->mutable_classifier(), &ignored) &&
        Parses(text.substr(end), config->mutable_model(), &ignored)) {
      return true;
    }
  }
  return false;
}

std::string ValueText(const Message& message, const FieldDescriptor* field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::string text;
  if (!field->is_repeated()) {
    const bool is_bool = field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    if (field->has_presence() && !reflection.HasField(message, field) && !is_bool) {
      return "unset";
    }
    TextFormat::PrintFieldValueToString(message, field, -1, &text);
    return text;
  }
  std::vector<std::string> values;  // entries of a map come in no order
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    TextFormat::PrintFieldValueToString(message, field, i, &text);
    values.push_back(text);
  }
  if (field->is_map()) {
    std::sort(values.begin(), values.end());
  }
  return absl::StrCat("[", absl::StrJoin(values, ", "), "]");
}

bool IsChangeable(const std::string& name) {
  return std::find(kChangeable.begin(), kChangeable.end(), name) != kChangeable.end();
}

// Every field that is set in `given`.
void CompareFields(const Message& given, const Message& then, const Message& now,
                   const std::string& prefix, const std::string& irrelevant,
                   std::vector<std::string>* differences) {
  const google::protobuf::Reflection& reflection = *given.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(given, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string name = prefix + field->json_name();
    if (IsChangeable(name) || name.starts_with(irrelevant)) {
      continue;
    }
    if (!field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CompareFields(reflection.GetMessage(given, field), reflection.GetMessage(then, field),
                    reflection.GetMessage(now, field), name + ".", irrelevant, differences);
      continue;
    }
    const std::string before = ValueText(then, field), after = ValueText(now, field);
    if (before != after) {
      differences->push_back(absl::StrCat(name, " is ", after, ", there ", before));
    }
  }
}

absl::Status Differing(const StoredRun& stored, const std::vector<std::string>& differences) {
  if (differences.empty()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      stored.path,
      ": was written by a run with another configuration: ", absl::StrJoin(differences, "; "),
      ". Go on with what the run was started with, or start another in a --work-dir "
      "of its own"));
}

std::string Named(const std::string& hash) {
  return hash.empty() ? "none" : absl::StrCat("SHA-256 ", hash);
}

// Figures of the classifier: all that an incomplete record tells of it.
void CompareFigures(const v1::ModelConfig& then, const v1::ModelConfig& now,
                    std::vector<std::string>* differences) {
  for (const auto& [name, value] : then.metrics()) {
    const auto found = now.metrics().find(name);
    if (found == now.metrics().end() || found->second != value) {
      differences->push_back(absl::StrCat(
          "the classifier has ", name, " ",
          found == now.metrics().end() ? std::string("unknown") : absl::StrCat(found->second),
          ", there ", value));
    }
  }
  if (then.classifier().architecture() != now.classifier().architecture()) {
    differences->push_back(absl::StrCat("the classifier is ", now.classifier().architecture(),
                                        ", there ", then.classifier().architecture()));
  }
}

}  // namespace

absl::StatusOr<v1::RunRecord> ParseFormerFingerprint(const std::string& text) {
  const size_t seed_at = text.rfind(" seed ");
  v1::RunRecord record;
  const std::vector<std::string> words = seed_at == std::string::npos
                                             ? std::vector<std::string>()
                                             : absl::StrSplit(text.substr(seed_at + 1), ' ');
  uint64_t seed = 0;
  if (words.size() < 2 || !absl::SimpleAtoi(words[1], &seed)) {
    return absl::DataLossError("its description of the run has no seed");
  }
  record.set_seed(seed);
  for (size_t i = 2; i + 1 < words.size(); ++i) {
    if (words[i] == "lpips") {
      record.set_lpips(words[i + 1]);
    } else if (words[i] == "from") {
      record.set_started_from(words[i + 1]);
    }
  }
  std::string error;
  const std::string config = text.substr(0, seed_at);
  if (!Parses(config, record.mutable_config(), &error)) {
    record.clear_config();
    if (!ParsesAsClassifier(config, record.mutable_config())) {
      return absl::FailedPreconditionError(
          absl::StrCat("was written by another version, whose config this one cannot read: ", error,
                       ". Go on with that version"));
    }
  }
  return record;
}

absl::StatusOr<StoredRun> ReadStoredRun(const std::string& state_path) {
  StoredRun run;
  run.path = state_path;
  STYLEX_ASSIGN_OR_RETURN(const StateTexts texts, ReadStateTexts(state_path));
  if (!texts.record.empty()) {
    STYLEX_RETURN_IF_ERROR(FromJson(texts.record, state_path, &run.record));
    return run;
  }
  run.complete = false;
  absl::StatusOr<v1::RunRecord> record = ParseFormerFingerprint(texts.fingerprint);
  if (!record.ok()) {
    return absl::Status(record.status().code(),
                        absl::StrCat(state_path, ": ", record.status().message()));
  }
  run.record = *std::move(record);
  return run;
}

absl::StatusOr<v1::TrainConfig> ConfigToGoOnWith(const StoredRun& stored, bool anything_given,
                                                 const v1::TrainConfig& given,
                                                 const v1::TrainConfig& resolved,
                                                 const std::string& irrelevant) {
  v1::TrainConfig config = stored.record.config();
  if (config.preset().empty()) {  // a classifier's state of before tells two sections only
    config.set_preset(resolved.preset());
    *config.mutable_data() = resolved.data();
    *config.mutable_stylex() = resolved.stylex();
  }
  const v1::StylexTraining& today = resolved.stylex();
  v1::TrainConfig ever_given = given;
  if (anything_given) {
    ever_given.MergeFrom(stored.record.given());
  }
  std::vector<std::string> differences;
  CompareFields(ever_given, config, resolved, "", irrelevant, &differences);
  STYLEX_RETURN_IF_ERROR(Differing(stored, differences));
  if (!stored.complete || (anything_given && ever_given.stylex().images() > 0)) {
    config.mutable_stylex()->set_images(today.images());
  }
  if (!stored.complete || (anything_given && ever_given.stylex().has_save_interval_images())) {
    config.mutable_stylex()->set_save_interval_images(today.save_interval_images());
  }
  if (!stored.complete || (anything_given && ever_given.stylex().has_sample_interval_images())) {
    config.mutable_stylex()->set_sample_interval_images(today.sample_interval_images());
  }
  if (!resolved.data().description().empty()) {
    config.mutable_data()->set_description(resolved.data().description());
  }
  if (!resolved.model().description().empty()) {
    config.mutable_model()->set_description(resolved.model().description());
  }
  return config;
}

absl::Status CompareInputs(const StoredRun& stored, const v1::RunRecord& now) {
  const v1::RunRecord& then = stored.record;
  std::vector<std::string> differences;
  const auto compare = [&](const std::string& what, const std::string& before,
                           const std::string& after) {
    if (before != after) {
      differences.push_back(absl::StrCat(what, " ", after, ", there ", before));
    }
  };
  compare("--seed is", absl::StrCat(then.seed()), absl::StrCat(now.seed()));
  compare("the classes are", absl::StrJoin(then.config().model().labels(), ", "),
          absl::StrJoin(now.config().model().labels(), ", "));
  if (stored.complete) {
    compare("the classifier has", Named(then.classifier()), Named(now.classifier()));
    const std::string files = InventoryDifference({then.data().begin(), then.data().end()},
                                                  {now.data().begin(), now.data().end()});
    if (!files.empty()) {
      differences.push_back(absl::StrCat("the data set: ", files));
    }
  } else {
    CompareFigures(then.config().model(), now.config().model(), &differences);
  }
  compare("--lpips-weights has", Named(then.lpips()), Named(now.lpips()));
  compare("--start-from has", Named(then.started_from()), Named(now.started_from()));
  return Differing(stored, differences);
}

}  // namespace stylex
