#include "trainer/report/training_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "tests/temporary_folder.h"
#include "tests/trainer/report/small_run.h"
#include "trainer/report/run_data.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class TrainingPageTest : public testing::Test {
 protected:
  // A run that was looked at after 100 and 200 images; its pictures are 2 of 64 pixels.
  ObservedRun Observe(const std::string& name, const LogText& log) const {
    const std::string folder = folder_ / name;
    WriteLog(folder, log);
    for (const int images : {100, 200}) {
      WriteSheet(GreyRows(4, 2, 64, images == 100 ? 0 : 100), LookPath(folder, images));
    }
    return {.work_directory = folder, .log = ReadRunLog(folder).value(), .config = {}, .state = {}};
  }
  static LogText TwoLooks() {
    return LogText()
        .Step(50, {{"loss_l1", 0.5}})
        .Check(100, {{"agreement", 0.9}, {"agreement_without_condition", 0.8}, {"l1", 0.2}})
        .Check(200, {{"agreement", 0.98}, {"agreement_without_condition", 0.8}, {"l1", 0.1}});
  }
  std::string Page(const std::vector<ObservedRun>& runs) const {
    EXPECT_EQ(WriteTrainingPage(runs, LogText::Start(), folder_ / "report.html"), absl::OkStatus());
    return ReadFile(folder_ / "report.html").value();
  }
  // What the page's script reads.
  static nlohmann::json DataOf(const std::string& page) {
    const std::string open = "id=\"data\">";
    const size_t begin = page.find(open) + open.size();
    return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  }
  static Bitmap PictureOf(const nlohmann::json& uri) {
    const std::string text = uri.get<std::string>();
    std::string bytes;
    EXPECT_TRUE(absl::Base64Unescape(text.substr(text.find(',') + 1), &bytes));
    return DecodeImage(bytes).value();
  }
  const TemporaryFolder folder_;
};

TEST_F(TrainingPageTest, PicturesOfEveryLookStandInIt) {
  const nlohmann::json run = DataOf(Page({Observe("first", TwoLooks())}))["runs"][0];
  EXPECT_EQ(run["name"], "first");
  ASSERT_EQ(run["looks"].size(), 2u);
  EXPECT_EQ(run["looks"][1]["at"], 200);
  EXPECT_EQ(PictureOf(run["photographs"][1]), Grey(64, 1));
  EXPECT_EQ(PictureOf(run["looks"][0]["reconstructions"][1]), Grey(64, 11));
  EXPECT_EQ(PictureOf(run["looks"][1]["reconstructions"][0]), Grey(64, 110));
  EXPECT_EQ(PictureOf(run["looks"][1]["runners_up"][1]), Grey(64, 131));
  EXPECT_FALSE(run.contains("worst"));
}

TEST_F(TrainingPageTest, TheNewestWorstReconstructionsToo) {
  const ObservedRun run = Observe("first", TwoLooks());
  for (const int images : {100, 200}) {
    WriteSheet(GreyRows(2, 1, 64, images), LookPath(run.work_directory, images, "-worst"));
    ASSERT_TRUE(WriteLookFacts({{Looked("a.png", 0.1, "sick")}, {Looked("bad.png", 0.8, "sick")}},
                               run.work_directory, images)
                    .ok());
  }
  const nlohmann::json data = RunData(run, LogText::Start());
  EXPECT_EQ(data["worst"]["at"], 200);
  EXPECT_EQ(data["worst"]["facts"][0]["name"], "bad.png");
  EXPECT_EQ(PictureOf(data["worst"]["reconstructions"][0]), Grey(64, 210));
  EXPECT_EQ(data["looks"][0]["facts"][0]["reconstruction"]["label"], "sick");
}

TEST_F(TrainingPageTest, CurvesHaveTheirBands) {
  const nlohmann::json data = RunData(Observe("first", TwoLooks()), LogText::Start());
  const nlohmann::json& agreement = data["curves"][0];
  EXPECT_EQ(agreement["name"], "agreement");
  EXPECT_EQ(agreement["points"], nlohmann::json::parse("[[100,0.9,0.9,0.9],[200,0.98,0.98,0.98]]"));
  EXPECT_EQ(agreement["wanted"]["from"], 0.97);
  EXPECT_EQ(data["curves"].back()["name"], "loss_l1");
  EXPECT_TRUE(data["curves"].back()["wanted"].is_null());
}

TEST_F(TrainingPageTest, ManyPointsBecomeMeansWithTheirExtremes) {
  LogText log;
  for (int i = 1; i <= 960; ++i) {
    log.Step(10 * i, {{"loss_l1", i % 4}});
  }
  const nlohmann::json points =
      RunData(Observe("long", log), LogText::Start())["curves"][0]["points"];
  ASSERT_EQ(points.size(), kCurvePoints);
  EXPECT_EQ(points[0], nlohmann::json::parse("[120,1.5,0,3]"));
  EXPECT_EQ(points.back()[0], 9600);
}

TEST_F(TrainingPageTest, NothingIsToldOfAConditionThatIsNotHeeded) {
  const auto log = [](double without) {
    return LogText().Check(100, {{"agreement", 0.9},
                                 {"agreement_without_condition", without},
                                 {"flips_by_condition", 0.02}});
  };
  const nlohmann::json not_heeded = RunData(Observe("none", log(0.9)), LogText::Start());
  EXPECT_EQ(not_heeded["heeds"], false);
  EXPECT_EQ(not_heeded["curves"].size(), 1u) << "agreement alone";
  const nlohmann::json heeded = RunData(Observe("some", log(0.8)), LogText::Start());
  EXPECT_EQ(heeded["heeds"], true);
  EXPECT_EQ(heeded["curves"].size(), 3u);
}

TEST_F(TrainingPageTest, LooksThatTheLogHasNotAreLeftOut) {
  const ObservedRun run =
      Observe("first", LogText().Check(100, {{"agreement", 0.9}}));  // 200 was taken back
  const nlohmann::json data = RunData(run, LogText::Start());
  EXPECT_EQ(data["looks"].size(), 1u);
  std::ofstream(LookPath(run.work_directory, 100)) << "broken";
  EXPECT_THAT(RunData(run, LogText::Start())["unreadable"][0].get<std::string>(),
              HasSubstr("000000100.png"));
}

TEST_F(TrainingPageTest, OfManyLooksSomeAreShown) {
  std::vector<int64_t> looks;
  for (int64_t i = 0; i <= 100; ++i) {
    looks.push_back(i);
  }
  EXPECT_THAT(Thinned(looks, 5), ElementsAre(0, 25, 50, 75, 100));
  EXPECT_EQ(Thinned(looks, 101), looks);
  EXPECT_THAT(Thinned({}, 5), ElementsAre());
}

TEST_F(TrainingPageTest, RunsStandSideBySide) {
  const nlohmann::json runs =
      DataOf(Page({Observe("first", TwoLooks()), Observe("second", TwoLooks())}))["runs"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[1]["name"], "second");
  EXPECT_EQ(runs[1]["looks"].size(), 2u);
}

TEST_F(TrainingPageTest, TheSamplesOfAStyleGan2) {
  ObservedRun run = Observe("plain", TwoLooks());
  run.log.name = "stylegan2";
  const nlohmann::json look = RunData(run, LogText::Start())["looks"][0];
  EXPECT_EQ(look["samples"].size(), 2u);
  EXPECT_FALSE(look.contains("reconstructions"));
}

TEST_F(TrainingPageTest, TextFromOutsideCannotLeaveItsPlace) {
  const std::string nasty = "</script><script>alert(1)</script>&";
  const std::string page = Page({Observe("first", TwoLooks().Say("warning", nasty))});
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, HasSubstr("\\u003c/script\\u003e\\u003cscript\\u003ealert(1)"));
  EXPECT_EQ(DataOf(page)["runs"][0]["warnings"][0], nasty);
}

TEST_F(TrainingPageTest, ThePolicyNamesItsOwnScriptAndLoadsNothing) {
  const std::string page = Page({Observe("first", TwoLooks())});
  const size_t begin = page.rfind("<script>") + 8;
  const std::string script = page.substr(begin, page.rfind("</script>") - begin);
  EXPECT_THAT(page, AllOf(HasSubstr("default-src 'none'"),
                          HasSubstr(absl::StrCat("script-src 'sha256-",
                                                 absl::Base64Escape(Sha256Bytes(script)), "'"))));
  EXPECT_THAT(page,
              AllOf(Not(HasSubstr("{{")), Not(HasSubstr("src=\"")), Not(HasSubstr("href=\"h"))));
}

TEST_F(TrainingPageTest, AFolderThatCannotBeWrittenIsNamed) {
  const absl::Status status = WriteTrainingPage({Observe("first", TwoLooks())}, LogText::Start(),
                                                folder_ / "no/report.html");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("no/report.html"));
}

}  // namespace
}  // namespace stylex
