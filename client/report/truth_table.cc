#include "client/report/truth_table.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/html.h"
#include "client/report/explanation.h"

namespace stylex {
namespace {

std::string LabelOf(const v1::Model& model, int class_id) {
  return class_id < model.summary().labels_size() ? model.summary().labels(class_id)
                                                  : absl::StrCat("class ", class_id);
}

// The name that the index gives an attribute of a class, else its place.
std::string NameOf(const v1::Model& model, int class_id, const v1::AttributeTruth& measured) {
  for (const v1::ClassAttributes& of_class : model.attributes().classes()) {
    for (const v1::Attribute& attribute : of_class.attributes()) {
      if (of_class.class_id() == class_id && attribute.index() == measured.index() &&
          attribute.direction() == measured.direction() && HasWords(attribute)) {
        return AttributeText(attribute);
      }
    }
  }
  return absl::StrCat("coordinate ", measured.index(), " to its ",
                      measured.direction() == v1::DIRECTION_TO_MIN ? "smallest" : "greatest");
}

// The attributes that are something the label depends on, or does not, and change `factor` most.
std::string FoundAs(const v1::Model& model, const v1::ClassTruth& truth,
                    const std::string& factor) {
  std::vector<std::string> found;
  for (const v1::AttributeTruth& attribute : truth.attributes()) {
    if (attribute.factor() == factor && attribute.finding() != v1::TRUTH_FINDING_UNCLEAR) {
      found.push_back(EscapeHtml(NameOf(model, truth.class_id(), attribute)));
    }
  }
  return absl::StrJoin(found, ", ");
}

std::string TableOfClass(const v1::Model& model, const v1::ClassTruth& truth) {
  std::string html = absl::StrCat("<h3>Towards ", EscapeHtml(LabelOf(model, truth.class_id())),
                                  "</h3>\n<div class=\"scroll\"><table><tr><th>varies in the "
                                  "data</th><th>decides the label</th>"
                                  "<th>effect on the logit</th><th>found as</th></tr>\n");
  for (int j = 0; j < truth.factors_size() && j < model.truth().factors_size(); ++j) {
    const v1::KnownFactor& factor = model.truth().factors(j);
    absl::StrAppend(&html, "<tr><td>", EscapeHtml(factor.name()), "</td><td>",
                    factor.sign() == 0 ? "no" : "yes", "</td><td>",
                    absl::StrFormat("%+.2f", truth.factors(j).mean_effect()), "</td><td>",
                    FoundAs(model, truth, factor.name()), "</td></tr>\n");
  }
  absl::StrAppend(&html, "</table></div>\n<p class=\"lead\">Of the first ", truth.attributes_size(),
                  " attributes ", absl::StrFormat("%.0f %%", 100 * truth.precision()),
                  " are something that decides the label, ",
                  absl::StrFormat("%.0f %%", 100 * truth.false_discoveries()),
                  " something that does not");
  if (truth.has_recall()) {
    absl::StrAppend(&html, "; ", absl::StrFormat("%.0f %%", 100 * truth.recall()),
                    " of what decides it was found");
  }
  return html + ".</p>\n";
}

}  // namespace

std::string TruthTable(const v1::Model& model) {
  if (!model.has_truth()) {
    return "";
  }
  std::string html = absl::StrCat(
      "<section class=\"panel\"><h2>What the classifier really goes by</h2>\n<p "
      "class=\"lead\">This "
      "model's data was drawn, so the causes of a decision are known: each of ",
      model.truth().images(),
      " held-out images was drawn anew with one thing changed. Beside it, which attribute was "
      "found to change it.</p>\n");
  for (const v1::ClassTruth& truth : model.truth().classes()) {
    html += TableOfClass(model, truth);
  }
  return html + "</section>\n";
}

}  // namespace stylex
