#include "client/report.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "client/truth_table.h"
#include "image/codec.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kBarsShown = 3;

constexpr char kStyle[] = R"css(
:root { color-scheme: light dark; --ink: #1d2130; --muted: #666c7d; --card: #fff; --page: #f3f4f8;
  --line: #dfe2ea; --before: #8d96ad; --after: #3268d6; --warn: #b4470f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf2; --muted: #9aa1b5; --card: #1d212c;
  --page: #12151d; --line: #323848; --before: #6f7891; --after: #6b9bff; --warn: #ffa46b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 24px; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 4px; } h2 { font-size: 1.1rem; margin: 0 0 12px; }
.lead { color: var(--muted); max-width: 70ch; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.fact { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 16px; } .fact b { display: block; font-size: 1.4rem; }
.fact span { color: var(--muted); font-size: .85rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px;
  margin: 18px 0; }
.pictures, .film { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; } figcaption { color: var(--muted); font-size: .8rem; margin-top: 4px;
  max-width: 180px; } figcaption b { display: block; color: var(--ink); font-weight: 500;
  font-size: .9rem; }
img { width: 180px; height: 180px; border-radius: 6px; display: block; object-fit: cover;
  image-rendering: pixelated; background: #888; } .film img { width: 84px; height: 84px; }
.film figcaption { max-width: 84px; }
h2, h3, td, th, figcaption, .bar span, .note, .facts { overflow-wrap: anywhere; }
h3 { font-size: .85rem; font-weight: 500; color: var(--muted); margin: 16px 0 6px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 20px;
  margin-top: 16px; }
.bar { display: grid; grid-template-columns: 100px 1fr 112px; gap: 8px; align-items: center;
  font-size: .85rem; margin: 3px 0; } .bar span:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.track { height: 6px; border-radius: 3px; background: var(--line); overflow: hidden; }
.track + .track { margin-top: 2px; } .fill { height: 100%; }
.before { background: var(--before); } .after { background: var(--after); }
.key { font-size: .8rem; color: var(--muted); } .key i { display: inline-block; width: 10px;
  height: 10px; border-radius: 2px; margin: 0 4px 0 10px; } .key { margin: 4px 0 6px; } .key i:first-child { margin-left: 0; }
.note { color: var(--warn); margin: 10px 0 0; } table { border-collapse: collapse; font-size: .85rem;
  width: 100%; } th, td { text-align: left; padding: 4px 8px 4px 0;
  border-bottom: 1px solid var(--line); } th { color: var(--muted); font-weight: 500; }
footer { color: var(--muted); font-size: .85rem; margin-top: 28px; }
)css";

std::string DataUri(const std::string& type, const std::string& bytes) {
  return absl::StrCat("data:", type, ";base64,", absl::Base64Escape(bytes));
}

// `decision`: the classifier's decision on the picture; may be empty.
absl::StatusOr<std::string> Figure(const Bitmap& bitmap, const std::string& caption,
                                   const std::string& decision = "") {
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(bitmap));
  const std::string name = EscapeHtml(caption);
  return absl::StrCat("<figure><img alt=\"", name, "\" src=\"", DataUri("image/png", png),
                      "\"><figcaption>", name,
                      decision.empty() ? "" : absl::StrCat("<b>", EscapeHtml(decision), "</b>"),
                      "</figcaption></figure>\n");
}

double ProbabilityOf(const v1::Prediction& prediction, int k) {
  return k < prediction.probabilities_size() ? prediction.probabilities(k) : 0;
}

// A bar for each class with a relevant probability before or after.
std::string Bars(const v1::Model& model, const v1::CounterfactualResponse& answer) {
  const v1::Prediction& before = answer.reconstruction_prediction();
  const v1::Prediction& after = answer.counterfactual_prediction();
  std::vector<int> order(static_cast<size_t>(model.summary().labels_size()));
  std::iota(order.begin(), order.end(), 0);
  const auto weight = [&](int k) {
    return std::max(ProbabilityOf(before, k), ProbabilityOf(after, k));
  };
  std::sort(order.begin(), order.end(), [&](int a, int b) { return weight(a) > weight(b); });
  // The requested target is shown even if it was not reached.
  const auto target = std::find(order.begin(), order.end(), answer.target_class_id());
  if (target != order.end() && target - order.begin() >= kBarsShown) {
    std::iter_swap(target, order.begin() + kBarsShown - 1);
  }
  order.resize(std::min(order.size(), static_cast<size_t>(kBarsShown)));
  std::string html =
      "<p class=\"key\"><i class=\"before\"></i>before<i class=\"after\"></i>after</p>";
  for (const int k : order) {
    absl::StrAppend(
        &html, "<div class=\"bar\"><span>", EscapeHtml(model.summary().labels(k)), "</span><div>",
        absl::StrFormat(
            "<div class=\"track\"><div class=\"fill before\" style=\"width:%.1f%%\">"
            "</div></div><div class=\"track\"><div class=\"fill after\" "
            "style=\"width:%.1f%%\"></div></div></div><span>%.1f &rarr; %.1f %%</span></div>\n",
            100 * ProbabilityOf(before, k), 100 * ProbabilityOf(after, k),
            100 * ProbabilityOf(before, k), 100 * ProbabilityOf(after, k)));
  }
  return html;
}

std::string AttributeTable(const v1::CounterfactualResponse& answer) {
  std::string html =
      absl::StrCat("<table><tr><th></th><th>attribute moved</th><th>how far</th><th>then ",
                   EscapeHtml(answer.target_label()), " at",
                   answer.local_applied() ? ", changed everywhere" : "", "</th></tr>\n");
  for (int i = 0; i < answer.applied_size(); ++i) {
    const v1::AppliedAttribute& applied = answer.applied(i);
    absl::StrAppend(
        &html, "<tr><td>", i + 1, "</td><td>", EscapeHtml(AttributeText(applied.attribute())),
        absl::StrFormat(
            " <span title=\"style coordinate\">(%d)</span></td><td>%s</td><td>%.1f %%</td></tr>\n",
            applied.attribute().index(), HowFarText(applied), 100 * applied.target_probability()));
  }
  return html + "</table>";
}

absl::StatusOr<std::string> Film(const Explanation& explanation) {
  if (explanation.steps.empty()) {
    return std::string();
  }
  std::string html = absl::StrCat("<h3>Attribute by attribute",
                                  explanation.answer.local_applied() ? ", changed everywhere" : "",
                                  "</h3><div class=\"film\">");
  for (size_t i = 0; i < explanation.steps.size(); ++i) {
    STYLEX_ASSIGN_OR_RETURN(const std::string figure,
                            Figure(explanation.steps[i], absl::StrCat("after ", i + 1)));
    html += figure;
  }
  return html + "</div>";
}

std::string Notes(const Explanation& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  std::string html;
  if (!answer.quality().same_class()) {
    absl::StrAppend(&html, "<p class=\"note\">The reconstruction is decided as ",
                    EscapeHtml(answer.reconstruction_prediction().label()), ", the photograph as ",
                    EscapeHtml(answer.original_prediction().label()),
                    ": what follows explains the reconstruction, not the photograph.</p>");
  }
  if (answer.quality().unlike_training()) {
    absl::StrAppend(&html, "<p class=\"note\">Unlike the training images: ",
                    EscapeHtml(UnlikeTrainingText(answer.quality())), "</p>");
  }
  if (!answer.convincing()) {
    absl::StrAppend(&html, "<p class=\"note\">",
                    answer.flipped() ? "Flipped, but not convincing: " : "Not flipped: ",
                    EscapeHtml(answer.reason()), "</p>");
  }
  for (const std::string& limit : LimitsOfChange(explanation)) {
    absl::StrAppend(&html, "<p class=\"note\">", EscapeHtml(limit), "</p>");
  }
  return html;
}

absl::StatusOr<std::string> Card(const v1::Model& model, const Explanation& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  STYLEX_ASSIGN_OR_RETURN(
      const std::string photograph,
      Figure(explanation.photograph, "photograph", DecisionText(answer.original_prediction())));
  STYLEX_ASSIGN_OR_RETURN(const std::string reconstruction,
                          Figure(explanation.reconstruction, "reconstruction",
                                 DecisionText(answer.reconstruction_prediction())));
  STYLEX_ASSIGN_OR_RETURN(const std::string counterfactual,
                          Figure(explanation.counterfactual, "counterfactual",
                                 DecisionText(answer.counterfactual_prediction())));
  STYLEX_ASSIGN_OR_RETURN(const std::string difference,
                          Figure(explanation.difference, "difference, amplified"));
  std::string on_photograph;
  if (HoldsOnPhotograph(explanation)) {
    STYLEX_ASSIGN_OR_RETURN(on_photograph,
                            Figure(explanation.on_photograph, "the change on the photograph",
                                   DecisionText(answer.on_photograph_prediction())));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string gif, BeforeAndAfterGif(explanation));
  STYLEX_ASSIGN_OR_RETURN(const std::string film, Film(explanation));
  return absl::StrCat("<section class=\"card\"><h2>", EscapeHtml(explanation.stem), ": ",
                      EscapeHtml(answer.reconstruction_prediction().label()), " &rarr; ",
                      EscapeHtml(answer.target_label()), "</h2>\n<div class=\"pictures\">",
                      photograph, reconstruction, counterfactual, difference,
                      "<figure><img alt=\"animation\" src=\"", DataUri("image/gif", gif),
                      "\"><figcaption>back and forth</figcaption></figure>", on_photograph,
                      "</div>\n", Notes(explanation), "<div class=\"columns\"><div>",
                      Bars(model, answer), "</div><div>", AttributeTable(answer), "</div></div>\n",
                      film, "</section>\n");
}

std::string Fact(const std::string& value, const std::string& meaning) {
  return absl::StrCat("<div class=\"fact\"><b>", value, "</b><span>", meaning, "</span></div>\n");
}

std::string Summary(const std::vector<Explanation>& explanations) {
  int flipped = 0;
  int convincing = 0;
  int same_class = 0;
  std::vector<int> moved;
  for (const Explanation& explanation : explanations) {
    flipped += explanation.answer.flipped() ? 1 : 0;
    convincing += explanation.answer.convincing() ? 1 : 0;
    same_class += explanation.answer.quality().same_class() ? 1 : 0;
    if (explanation.answer.flipped()) {
      moved.push_back(explanation.answer.applied_size());
    }
  }
  std::sort(moved.begin(), moved.end());
  return absl::StrCat(
      "<div class=\"facts\">", Fact(absl::StrCat(explanations.size()), "photographs"),
      Fact(absl::StrCat(flipped), "decisions flipped"),
      Fact(absl::StrCat(convincing), "convincingly"),
      Fact(moved.empty() ? "&ndash;" : absl::StrCat(moved[moved.size() / 2]),
           "attributes moved, median"),
      Fact(absl::StrCat(same_class), "reconstructions decided like the photograph"), "</div>\n");
}

std::string Footer(const v1::Model& model) {
  std::string html = absl::StrCat(
      "<footer><p>Model ", EscapeHtml(model.summary().name()), "/", model.summary().version(), ", ",
      model.num_styles(), " style coordinates, trained on ",
      EscapeHtml(model.provenance().dataset()), ", code ",
      EscapeHtml(model.provenance().code_version()),
      ".</p><p>Reconstructions, counterfactuals and steps are synthetic images, drawn by a "
      "generative model; photographs with a change are so in part. They explain the classifier, "
      "not the world.</p>");
  const std::array<std::pair<const char*, const char*>, 4> shown = {
      {{"agreement", "reconstructions decided like their photographs"},
       {"flip_rate_joint_10", "flipped with at most 10 attributes"},
       {"flip_rate_joint_3", "flipped with at most 3"},
       {"flip_rate_random_10", "flipped by 10 random coordinates"}}};
  for (const auto& [name, meaning] : shown) {
    const auto found = model.metrics().find(name);
    if (found != model.metrics().end()) {
      absl::StrAppend(&html, absl::StrFormat("<div>%.1f %% %s (held-out images)</div>",
                                             100 * found->second, meaning));
    }
  }
  return html + "</footer>";
}

}  // namespace

std::string EscapeHtml(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

absl::StatusOr<std::string> RenderReport(const v1::Model& model,
                                         const std::vector<Explanation>& explanations) {
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Why ",
      EscapeHtml(model.summary().name()), " decides as it does</title><style>", kStyle,
      "</style></head><body>\n<h1>Why ", EscapeHtml(model.summary().name()),
      " decides as it does</h1>\n<p class=\"lead\">Each photograph stands beside the image that a "
      "generator makes of it (its reconstruction) and the smallest change we found that makes the "
      "classifier decide otherwise (the counterfactual). Compare the counterfactual with the "
      "reconstruction: the difference between these two is the explanation, and it is made of the "
      "attributes listed below it.</p>\n",
      Summary(explanations), TruthTable(model));
  for (const Explanation& explanation : explanations) {
    STYLEX_ASSIGN_OR_RETURN(const std::string card, Card(model, explanation));
    html += card;
  }
  return absl::StrCat(html, Footer(model), "</body></html>\n");
}

}  // namespace stylex
