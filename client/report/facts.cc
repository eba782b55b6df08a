#include "client/report/facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/html.h"
#include "base/status_macros.h"
#include "client/report/change.h"
#include "client/report/sentence.h"
#include "image/codec.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

constexpr size_t kBarsShown = 3;

// Enough digits for people, and for a page of a thousand photographs.
double Rounded(double value) { return std::round(value * 1e5) / 1e5; }

// Never 0 or 1 of what is not: readers tell such a share as "0 %" and "100 %".
double RoundedShare(double share) {
  return share > 0 && share < 1 ? std::clamp(Rounded(share), 1e-5, 1 - 1e-5) : share;
}

Json DecisionOf(const v1::Prediction& prediction) {
  return {{"label", prediction.label()},
          {"probability", RoundedShare(ProbabilityOf(prediction, prediction.class_id()))}};
}

// The classes of most probability before or after, the target among them even if it stays
// improbable.
Json BarsOf(const v1::Model& model, const v1::CounterfactualResponse& answer) {
  const v1::Prediction& before = answer.reconstruction_prediction();
  const v1::Prediction& after = answer.counterfactual_prediction();
  std::vector<int> order(static_cast<size_t>(model.summary().labels_size()));
  std::iota(order.begin(), order.end(), 0);
  const auto weight = [&](int k) {
    return std::max(ProbabilityOf(before, k), ProbabilityOf(after, k));
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return weight(a) > weight(b); });
  const auto target = std::find(order.begin(), order.end(), answer.target_class_id());
  if (target != order.end() && target - order.begin() >= static_cast<int>(kBarsShown)) {
    std::iter_swap(target, order.begin() + kBarsShown - 1);
  }
  order.resize(std::min(order.size(), kBarsShown));
  Json bars = Json::array();
  for (const int k : order) {
    bars.push_back({{"label", model.summary().labels(k)},
                    {"before", RoundedShare(ProbabilityOf(before, k))},
                    {"after", RoundedShare(ProbabilityOf(after, k))}});
  }
  return bars;
}

Json MovesOf(const ExplainedPhotograph& explanation) {
  Json moves = Json::array();
  for (int i = 0; i < explanation.answer.applied_size(); ++i) {
    const v1::AppliedAttribute& applied = explanation.answer.applied(i);
    const std::string words = WordsOfMove(explanation, i);
    moves.push_back(
        {{"attribute", applied.attribute().index()},
         {"words", words},
         {"clause", ClauseOf(words)},
         {"source", SourceOfWords(applied.attribute(), "measured on this picture")},
         {"to", applied.attribute().direction() == v1::DIRECTION_TO_MIN ? "min" : "max"},
         {"how_far", HowFarText(applied)},
         {"shift", Rounded(applied.shift())},
         {"effect", Rounded(applied.attribute().mean_effect())},
         {"probability", RoundedShare(applied.target_probability())}});
  }
  return moves;
}

Json QualityOf(const v1::ReconstructionQuality& quality) {
  Json json = {{"words", FidelityText(quality)},
               {"sentence", FidelitySentence(quality)},
               {"ssim", Rounded(quality.ssim())},
               {"psnr", Rounded(quality.psnr())},
               {"l1", Rounded(quality.l1())},
               {"same_class", quality.same_class()},
               {"unlike_training", quality.unlike_training()}};
  if (quality.has_percentile()) {
    json["percentile"] = Rounded(quality.percentile());
  }
  return json;
}

// What to be careful about, a few words each; the page filters by them.
Json FlagsOf(const ExplainedPhotograph& explanation, const ColorChange& change) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  Json flags = Json::array();
  if (answer.quality().unlike_training()) {
    flags.push_back("unlike training");
  }
  if (!answer.quality().same_class()) {
    flags.push_back("reconstruction decided otherwise");
  }
  if (answer.quality().same_class() && FidelityText(answer.quality()) == "poor") {
    flags.push_back("poor reconstruction");
  }
  if (answer.flipped() && CannotBeSeen(change)) {
    flags.push_back("cannot be seen");
  }
  if (answer.flipped() && !explanation.on_photograph.data.empty() &&
      !HoldsOnPhotograph(explanation)) {
    flags.push_back("does not hold on the photograph");
  }
  return flags;
}

Json NotesOf(const ExplainedPhotograph& explanation, const ColorChange& change) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  Json notes = Json::array();
  if (!answer.quality().same_class()) {
    notes.push_back(absl::StrCat(
        "The reconstruction is decided as ", answer.reconstruction_prediction().label(),
        ", the photograph as ", answer.original_prediction().label(),
        ": what follows explains the reconstruction, not the photograph."));
  }
  if (answer.quality().unlike_training()) {
    notes.push_back(
        absl::StrCat("Unlike the training images: ", UnlikeTrainingText(answer.quality()), "."));
  }
  if (!answer.convincing() && !answer.reason().empty()) {
    notes.push_back(absl::StrCat(
        answer.flipped() ? "Flipped, but not convincing: " : "Not flipped: ", answer.reason()));
  }
  if (answer.flipped() && CannotBeSeen(change)) {
    notes.push_back("This change cannot be seen: colours differ too little.");
  }
  for (const std::string& limit : LimitsOfChange(explanation)) {
    notes.push_back(limit);
  }
  if (answer.has_certificate() && answer.certificate().candidates() > 0) {
    notes.push_back(absl::StrCat("No smaller set of the ", answer.certificate().candidates(),
                                 " strongest attributes flips (", answer.certificate().subsets(),
                                 " tried)."));
  }
  return notes;
}

absl::StatusOr<std::string> MarkedPng(const Bitmap& picture, const SyntheticMark& mark) {
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(picture, mark.PngTexts()));
  return DataUri(png);
}

// The file as it was delivered, with its mark: its probability is that of these very pixels.
absl::StatusOr<std::string> MarkedFrame(const std::string& file, const SyntheticMark& mark) {
  if (DetectFormat(file) == ImageFormat::kJpeg) {
    STYLEX_ASSIGN_OR_RETURN(const std::string jpeg, AddJpegComment(file, mark.Comment()));
    return DataUri(jpeg);
  }
  // The comment alone: there are many frames, and the texts of a mark may outweigh their pixels.
  const std::array<PngText, 1> comment = {{{"Comment", mark.Comment()}}};
  STYLEX_ASSIGN_OR_RETURN(const Bitmap picture, DecodeImage(file));
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(picture, comment));
  return DataUri(png);
}

absl::StatusOr<Json> FramesOf(const ExplainedPhotograph& explanation) {
  Json moves = Json::array();
  for (const std::vector<Frame>& frames : explanation.frames) {
    Json move = Json::array();
    for (const Frame& frame : frames) {
      Json json = {{"shift", Rounded(frame.shift)},
                   {"probability", RoundedShare(frame.probability)}};
      if (!frame.file.empty()) {
        STYLEX_ASSIGN_OR_RETURN(json["picture"], MarkedFrame(frame.file, MarkOf(explanation)));
      }
      move.push_back(std::move(json));
    }
    moves.push_back(std::move(move));
  }
  return moves;
}

}  // namespace

std::string DataUri(const std::string& file) {
  const ImageFormat format = DetectFormat(file);
  return absl::StrCat("data:image/",
                      format == ImageFormat::kJpeg  ? "jpeg"
                      : format == ImageFormat::kGif ? "gif"
                                                    : "png",
                      ";base64,", absl::Base64Escape(file));
}

Json FactsOf(const v1::Model& model, const ExplainedPhotograph& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  const ColorChange change = MeasureChange(explanation.reconstruction, explanation.counterfactual);
  Json facts = {
      {"path", explanation.path},
      {"name", explanation.stem},
      {"input_sha256", explanation.input_sha256},
      {"folder_label", explanation.folder_label},
      {"sentence", SentenceOf(explanation)},
      {"outcome", OutcomeText(OutcomeOf(answer))},
      {"reason", answer.reason()},
      {"decided", DecisionOf(answer.original_prediction())},
      {"reconstruction", DecisionOf(answer.reconstruction_prediction())},
      {"counterfactual", DecisionOf(answer.counterfactual_prediction())},
      {"target", answer.target_label()},
      {"probability_before",
       RoundedShare(ProbabilityOf(answer.reconstruction_prediction(), answer.target_class_id()))},
      {"probability_after",
       RoundedShare(ProbabilityOf(answer.counterfactual_prediction(), answer.target_class_id()))},
      {"bars", BarsOf(model, answer)},
      {"moves", MovesOf(explanation)},
      {"moved_everywhere_in_steps", answer.local_applied()},
      {"change",
       {{"mean_delta_e", Rounded(change.mean)},
        {"greatest_delta_e", Rounded(change.greatest)},
        {"visible_share", RoundedShare(change.visible)}}},
      {"quality", QualityOf(answer.quality())},
      {"flags", FlagsOf(explanation, change)},
      {"notes", NotesOf(explanation, change)},
      {"evaluations", answer.evaluations()},
      {"model", answer.model()}};
  if (!explanation.on_photograph.data.empty() && answer.applied_size() > 0) {
    facts["on_photograph"] = DecisionOf(answer.on_photograph_prediction());
    facts["on_photograph"]["holds"] = HoldsOnPhotograph(explanation);
  }
  return facts;
}

absl::StatusOr<Json> PicturesOf(const ExplainedPhotograph& explanation) {
  Json pictures;
  STYLEX_ASSIGN_OR_RETURN(const std::string photograph, EncodePng(explanation.photograph));
  pictures["photograph"] = DataUri(photograph);
  const SyntheticMark mark = MarkOf(explanation);
  STYLEX_ASSIGN_OR_RETURN(pictures["reconstruction"], MarkedPng(explanation.reconstruction, mark));
  STYLEX_ASSIGN_OR_RETURN(pictures["counterfactual"], MarkedPng(explanation.counterfactual, mark));
  if (explanation.reconstruction.width != explanation.counterfactual.width ||
      explanation.reconstruction.height != explanation.counterfactual.height) {
    return absl::InvalidArgumentError("reconstruction and counterfactual are of different sizes");
  }
  STYLEX_ASSIGN_OR_RETURN(
      pictures["difference"],
      MarkedPng(DrawChangeMap(explanation.reconstruction, explanation.counterfactual), mark));
  if (HoldsOnPhotograph(explanation)) {
    STYLEX_ASSIGN_OR_RETURN(
        pictures["on_photograph"],
        MarkedPng(explanation.on_photograph, MarkOf(explanation, /*in_part=*/true)));
  }
  STYLEX_ASSIGN_OR_RETURN(pictures["frames"], FramesOf(explanation));
  return pictures;
}

std::string ToPageJson(const Json& json) {
  return JsonInScript(json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace));
}

}  // namespace stylex
