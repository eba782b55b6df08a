// The page as a file: what stands in it, in which order, and that whatever comes from outside is
// data. How it looks and what its script does: tests/web/report_test.py.
#include "client/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "client/report/facts.h"
#include "tests/client/report/example_explanation.h"
#include "tests/client/test_files.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t Times(const std::string& text, const std::string& part) {
  size_t times = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++times;
  }
  return times;
}

// What stands between two texts, the first time.
std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  if (from == std::string::npos) {
    ADD_FAILURE() << "there is no " << begin;
    return "";
  }
  return text.substr(from + begin.size(), text.find(end, from) - from - begin.size());
}

class ReportTest : public testing::Test {
 protected:
  std::string Page(const std::vector<ExplainedPhotograph>& explanations,
                   const v1::Model& model = Pets()) {
    ReportInputs inputs{.model = model, .facts = {}, .failed = {}, .asked = 0, .pairs = {}};
    for (const ExplainedPhotograph& explanation : explanations) {
      inputs.facts.push_back(FactsOf(model, explanation));
    }
    const absl::Status status = WriteReport(
        inputs,
        [&](size_t index) -> absl::StatusOr<std::string> {
          return ToPageJson(PicturesOf(explanations[index]).value());
        },
        folder_ / "report.html");
    EXPECT_TRUE(status.ok()) << status;
    return ReadAll(folder_ / "report.html");
  }

  TemporaryFolder folder_;
};

TEST_F(ReportTest, HoldsFactsAndPicturesOfEachPhotograph) {
  ExplainedPhotograph other = CatToDog();
  other.stem = "tim";
  const std::string page = Page({CatToDog(), other});
  const nlohmann::json overview =
      nlohmann::json::parse(Between(page, "id=\"overview\">", "</script>"));
  EXPECT_EQ(overview["photographs"][1]["name"], "tim");
  EXPECT_EQ(overview["model"]["labels"].size(), 5u);
  EXPECT_THAT(overview["legend"]["text"].get<std::string>(), HasSubstr("ΔE"));
  const nlohmann::json pictures =
      nlohmann::json::parse(Between(page, "id=\"pictures-1\">", "</script>"));
  EXPECT_EQ(pictures["reconstruction"], PicturesOf(other).value()["reconstruction"]);
  EXPECT_THAT(page, HasSubstr("<title>Why pets decides as it does</title>"));
  EXPECT_THAT(page, testing::EndsWith("</body>\n</html>\n"));
  EXPECT_THAT(page, Not(HasSubstr("{{"))) << "a name of the template is not filled in";
}

TEST_F(ReportTest, HasOneScriptThatItsPolicyKnowsByHash) {
  const std::string page = Page({CatToDog()});
  EXPECT_EQ(Times(page, "<script>"), 1u);
  EXPECT_EQ(Times(page, "<script"), Times(page, "<script type=\"application/json\"") + 1);
  const std::string hash = absl::Base64Escape(Sha256Bytes(Between(page, "<script>", "</script>")));
  EXPECT_THAT(page, HasSubstr("script-src 'sha256-" + hash + "'"));
  const std::string style = absl::Base64Escape(Sha256Bytes(Between(page, "<style>", "</style>")));
  EXPECT_THAT(page, HasSubstr("style-src 'sha256-" + style + "'"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* loaded : {"http://", "https://", "<link", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(loaded)));
  }
}

// So that the first cards are there before a large file has been read.
TEST_F(ReportTest, TheScriptStandsBehindTheFirstPictures) {
  std::vector<ExplainedPhotograph> many(20, CatToDog());
  const std::string page = Page(many);
  const size_t script = page.find("<script>");
  EXPECT_LT(page.find("id=\"pictures-15\""), script);
  EXPECT_GT(page.find("id=\"pictures-16\""), script);
  EXPECT_LT(page.find("id=\"pictures-19\""), page.size());
}

TEST_F(ReportTest, WithoutPhotographsThereIsAPageAllTheSame) {
  EXPECT_THAT(Page({}), HasSubstr("\"photographs\":[]"));
}

// Every field of text that a server or a file name can fill.
TEST_F(ReportTest, NothingFromOutsideIsReadAsHtml) {
  const std::string nasty = "</script><script>\"'&";
  v1::Model model = Pets();
  model.mutable_summary()->set_name(nasty);
  for (std::string& label : *model.mutable_summary()->mutable_labels()) {
    label = nasty;
  }
  model.mutable_provenance()->set_dataset(nasty);
  model.mutable_provenance()->set_code_version(nasty);
  ExplainedPhotograph explanation = CatToDog();
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  explanation.path = explanation.stem = explanation.folder_label = nasty;
  v1::CounterfactualResponse& answer = explanation.answer;
  for (v1::Prediction* prediction :
       {answer.mutable_original_prediction(), answer.mutable_reconstruction_prediction(),
        answer.mutable_counterfactual_prediction(), answer.mutable_on_photograph_prediction()}) {
    prediction->set_label(nasty);
  }
  answer.set_target_label(nasty);
  answer.set_reason(nasty);
  answer.set_convincing(false);
  answer.mutable_applied(0)->mutable_attribute()->set_name(nasty);
  const std::string page = Page({explanation}, model);
  EXPECT_EQ(Times(page, "<script>"), 1u) << "its own";
  EXPECT_EQ(Times(page, "</script>"), 3u) << "overview, pictures and the script";
  EXPECT_GE(Times(page, "\\u003c/script\\u003e\\u003cscript\\u003e"), 12u);
  EXPECT_THAT(page, HasSubstr("<title>Why &lt;/script&gt;&lt;script&gt;&quot;&#39;&amp; decides"));
}

TEST_F(ReportTest, AFailureLeavesTheOldPage) {
  WriteText(folder_ / "report.html", "old");
  const ReportInputs inputs{.model = Pets(),
                            .facts = {FactsOf(Pets(), CatToDog())},
                            .failed = {},
                            .asked = 1,
                            .pairs = {}};
  const auto broken = [](size_t) -> absl::StatusOr<std::string> {
    return absl::DataLossError("gone");
  };
  EXPECT_EQ(WriteReport(inputs, broken, folder_ / "report.html").code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadAll(folder_ / "report.html"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "report.html.part"));
  const auto none = [](size_t) -> absl::StatusOr<std::string> { return "{}"; };
  EXPECT_THAT(WriteReport(inputs, none, folder_ / "no/report.html").message(),
              HasSubstr("no/report.html: cannot be written"));
}

}  // namespace
}  // namespace stylex
