// `explain`: its files, its report, and its behaviour if some photographs cannot be explained.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/folder_lock.h"
#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class ExplainTest : public ClientFixture {
 protected:
  nlohmann::json Report(const std::string& output) {
    return nlohmann::json::parse(ReadAll(output + "/report.json"), nullptr, false);
  }
  // Waits until a file is there.
  static void Await(const std::string& path) {
    for (int i = 0; i < 2000 && !std::filesystem::exists(path); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
  }
};

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST_F(ExplainTest, WritesAllFilesIntoAFolderThatItMakes) {
  const std::string file = WriteGreyPng(folder_ / "tom.png", 16, 10);
  const std::string output = folder_ / "new/deeper";
  const ProgramResult result = Run({"explain", file, "--output", output});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr(file + ": cat 75.0 % -> dog 75.0 %, 2 attributes\n"));
  EXPECT_THAT(result.out, HasSubstr("wrote " + output + "/report.html"));
  const std::string stem = output + "/tom";
  EXPECT_EQ(ReadPicture(stem + "-reconstruction.png").data[0], 10);
  EXPECT_EQ(ReadPicture(stem + "-counterfactual.png").data[0], 95);
  EXPECT_EQ(ReadPicture(stem + "-step2.png").data[0], 50);
  EXPECT_GT(ReadPicture(output + "/sheet.png").width, 4 * 96);
  EXPECT_EQ(ReadGif(stem + ".gif").frames, 2);
  int pictures = 0;
  for (const auto& entry : std::filesystem::directory_iterator(output)) {
    if (entry.path().extension() == ".png") {
      ++pictures;
      EXPECT_THAT(PngTexts(entry.path()), Contains(HasSubstr("Synthetic image"))) << entry.path();
    }
  }
  EXPECT_EQ(pictures, 7)
      << "reconstruction, counterfactual, difference, photograph, two steps, sheet";
  EXPECT_EQ(ReadPicture(stem + "-on-photograph.png").data[0], 95);
}

TEST_F(ExplainTest, AsksForTheChangeWhereItIsGreatestAndOnThePhotograph) {
  const std::string file = WriteGreyPng(folder_ / "tom.png", 16, 10);
  EXPECT_EQ(Run({"explain", file, "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_TRUE(service_.counterfactual_request().local());
  EXPECT_TRUE(service_.counterfactual_request().include_on_photograph());
  EXPECT_EQ(Report(folder_ / "out")["photographs"][0]["moved_everywhere_in_steps"], true);
  EXPECT_EQ(Run({"explain", file, "--whole", "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_FALSE(service_.counterfactual_request().local());
  EXPECT_TRUE(service_.counterfactual_request().include_on_photograph());
  EXPECT_EQ(Report(folder_ / "out")["photographs"][0]["moved_everywhere_in_steps"], false);
}

TEST_F(ExplainTest, WhatAChangeIsNotCapableOfIsSaid) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, kUnitedGrey);
  const ProgramResult local = Run({"explain", file, "--output", folder_ / "out"});
  const std::string whole = "The whole change is shown";
  const std::string lost =
      "Carried over to the photograph, the change is decided as cat, not as dog.";
  EXPECT_THAT(local.out, HasSubstr(file + ": " + whole));
  EXPECT_THAT(local.out, HasSubstr(file + ": " + lost));
  const std::string html = ReadAll(folder_ / "out/report.html");
  EXPECT_EQ(Count(html, whole), 1);
  EXPECT_EQ(Count(html, lost), 1);
  EXPECT_THAT(html, Not(HasSubstr("\"on_photograph\":\"data:")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/a-on-photograph.png"));
  EXPECT_THAT(Run({"explain", file, "--whole", "--output", folder_ / "out"}).out,
              Not(HasSubstr(whole)))
      << "which was asked for";
}

TEST_F(ExplainTest, SendsWhatTheOptionsSay) {
  const std::string file = WriteGreyPng(folder_ / "tom.png", 16, 10);
  const ProgramResult result = Run({"explain", file, "--target", "dog", "--max-attributes", "4",
                                    "--shift", "2", "--probability", "0.9", "--certify", "7",
                                    "--model", "pets", "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const v1::CounterfactualRequest request = service_.counterfactual_request();
  EXPECT_EQ(request.target_class().label(), "dog");
  EXPECT_EQ(request.max_attributes(), 4);
  EXPECT_EQ(request.shift(), 2);
  EXPECT_EQ(request.target_probability(), 0.9);
  EXPECT_EQ(request.certificate_candidates(), 7);
  EXPECT_EQ(request.model(), "pets/3") << "one version for all photographs";
}

TEST_F(ExplainTest, OneBadFileDoesNotStopTheOthers) {
  std::filesystem::create_directory(folder_ / "in");
  WriteGreyPng(folder_ / "in/a.png", 16, 10);
  WriteText(folder_ / "in/b.png", "this is no image");
  WriteGreyPng(folder_ / "in/c.png", 4, 10);
  WriteGreyPng(folder_ / "in/d.png", 16, 90);
  const std::string output = folder_ / "out";
  const ProgramResult result = Run({"explain", folder_ / "in", "--output", output});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(Count(result.err, "\n"), 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("in/b.png: neither a JPEG nor a PNG nor a WebP file ("));
  EXPECT_THAT(result.err, HasSubstr("in/c.png: the request is not valid; image.data: 4 pixels"));
  EXPECT_THAT(result.err, HasSubstr("2 of 4 images failed\n"));
  EXPECT_TRUE(std::filesystem::exists(output + "/a.gif"));
  EXPECT_TRUE(std::filesystem::exists(output + "/d.gif"));
  EXPECT_FALSE(std::filesystem::exists(output + "/b.gif"));
  const std::string html = ReadAll(output + "/report.html");
  EXPECT_EQ(Count(html, "id=\"pictures-"), 2);
  for (const std::string& page :
       {html, ReadAll(output + "/report.json"), ReadAll(output + "/report.csv")}) {
    EXPECT_THAT(page, HasSubstr("in/b.png"));
    EXPECT_THAT(page, HasSubstr("neither a JPEG nor a PNG nor a WebP file"));
    EXPECT_THAT(page, HasSubstr("in/c.png"));
  }
}

TEST_F(ExplainTest, ReportEscapesLoadsNothingAndRunsItsOwnScriptAlone) {
  const std::string name = "<script>alert(2)<img src='x'>\"&.png";
  WriteGreyPng(folder_ / name, 16, 100);
  WriteGreyPng(folder_ / "stays.png", 16, 200);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string html = ReadAll(folder_ / "out/report.html");
  EXPECT_EQ(Count(html, "<script>"), 1);
  for (const char* part : {"alert(1)<", "<img src='x'", "<b>ears", "<i>Pets", "<further", "http://",
                           "https://", "<link", "@import", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(part)));
  }
  EXPECT_THAT(html, HasSubstr("\\u003cb\\u003eears\\u003c/b\\u003e"));
  EXPECT_EQ(Count(html, "id=\"pictures-"), 2);
}

TEST_F(ExplainTest, ReportTellsWhatStayedAndHowManyFlipped) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, 200);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << "that no counterfactual was found is an answer";
  EXPECT_THAT(result.out, HasSubstr("(no <further> attribute raises the target)"));
  const std::string html = ReadAll(folder_ / "out/report.html");
  EXPECT_EQ(Count(html, "Not flipped: "), 1);
  const nlohmann::json counts = Report(folder_ / "out")["counts"];
  EXPECT_EQ(counts["photographs"], 2);
  EXPECT_EQ(counts["convincing"], 1);
  EXPECT_EQ(counts["not_flipped"], 1);
  EXPECT_THAT(html, HasSubstr("95.3 %"));
}

TEST_F(ExplainTest, WhatIsUnlikeTheTrainingImagesIsSaid) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, kStrangeGrey);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Count(result.out, "Unlike the training images: reconstructed worse than 99.7 %"), 1);
  EXPECT_EQ(Count(ReadAll(folder_ / "out/report.html"),
                  "Unlike the training images: reconstructed worse than 99.7 %"),
            1);
}

TEST_F(ExplainTest, WithoutAProbabilityTheServersDefaultIsAskedFor) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  EXPECT_EQ(Run({"explain", file, "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_FALSE(service_.counterfactual_request().has_target_probability());
  EXPECT_EQ(Run({"explain", file, "--probability", "0", "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_TRUE(service_.counterfactual_request().has_target_probability());
}

TEST_F(ExplainTest, OneNameInTwoFoldersGivesTwoSetsOfFiles) {
  std::filesystem::create_directory(folder_ / "other");
  const std::string first = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string taken = WriteGreyPng(folder_ / "a-2.png", 16, 20);
  const std::string second = WriteGreyPng(folder_ / "other/a.png", 16, 30);
  const std::string output = folder_ / "out";
  EXPECT_EQ(Run({"explain", first, taken, second, "--output", output}).exit_code, 0);
  EXPECT_EQ(ReadPicture(output + "/a-reconstruction.png").data[0], 10);
  EXPECT_EQ(ReadPicture(output + "/a-2-reconstruction.png").data[0], 20);
  EXPECT_EQ(ReadPicture(output + "/a-3-reconstruction.png").data[0], 30);
}

TEST_F(ExplainTest, LimitStopsEarly) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, 10);
  const ProgramResult result =
      Run({"explain", folder_.path(), "--limit", "1", "--output", folder_ / "out"});
  EXPECT_THAT(result.out, HasSubstr("a.png"));
  EXPECT_THAT(result.out, Not(HasSubstr("b.png")));
}

TEST_F(ExplainTest, AsJsonIsOneLineAPhotographWithoutItsPictures) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, 200);
  const auto documents = ParseJsonLines(
      Run({"explain", folder_.path(), "--json", "--calls", "1", "--output", folder_ / "out"}).out);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0]["path"], file);
  EXPECT_EQ(documents[0]["flipped"], true);
  EXPECT_EQ(documents[0]["applied"].size(), 2u);
  EXPECT_FALSE(documents[0].contains("reconstruction"));
  EXPECT_FALSE(documents[0].contains("onPhotograph"));
  EXPECT_EQ(documents[0]["localApplied"], true);
  EXPECT_EQ(documents[0]["holdsOnPhotograph"], true);
  EXPECT_EQ(documents[1]["flipped"], false);
}

TEST_F(ExplainTest, ASecondRunGoesOnAndLeavesWhatIsDone) {
  WriteGreyPng(folder_ / "in-a.png", 16, 10);
  const std::string output = folder_ / "out";
  const std::vector<std::string> command = {"explain", folder_.path(), "--output", output};
  const ProgramResult first = Run(command);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  const auto written = std::filesystem::last_write_time(output + "/in-a-reconstruction.png");
  WriteGreyPng(folder_ / "in-b.png", 16, 100);
  const ProgramResult second = Run(command);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(service_.counterfactuals(), 2) << "the first photograph was asked for again";
  EXPECT_EQ(std::filesystem::last_write_time(output + "/in-a-reconstruction.png"), written);
  EXPECT_THAT(second.out, HasSubstr(first.out.substr(0, first.out.find('\n'))));
  EXPECT_EQ(Report(output)["counts"]["photographs"], 2);
  WriteGreyPng(folder_ / "in-a.png", 16, 20);
  EXPECT_EQ(Run(command).exit_code, 0);
  EXPECT_EQ(service_.counterfactuals(), 3) << "another photograph of that name";
  EXPECT_EQ(Run({"explain", folder_.path(), "--target", "dog", "--output", output}).exit_code, 0);
  EXPECT_EQ(service_.counterfactuals(), 5) << "another question";
  EXPECT_EQ(
      Run({"explain", folder_.path(), "--target", "dog", "--afresh", "--output", output}).exit_code,
      0);
  EXPECT_EQ(service_.counterfactuals(), 7);
}

TEST_F(ExplainTest, KeptAnswersArePrintedAsJsonToo) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::vector<std::string> command = {"explain", file, "--json", "--output", folder_ / "out"};
  const ProgramResult first = Run(command);
  const ProgramResult second = Run(command);
  EXPECT_EQ(service_.counterfactuals(), 1);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  ASSERT_EQ(ParseJsonLines(second.out).size(), 1u);
  EXPECT_EQ(second.out, first.out);
  EXPECT_EQ(ParseJsonLines(second.out)[0]["path"], file);
  EXPECT_EQ(ParseJsonLines(second.out)[0]["flipped"], true);
}

TEST_F(ExplainTest, ABrokenRecordIsMadeAnew) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "out";
  EXPECT_EQ(Run({"explain", file, "--output", output}).exit_code, 0);
  const std::string record = ReadAll(output + "/records/a.json");
  WriteText(output + "/records/a.json", record.substr(0, record.size() / 2));
  const ProgramResult result = Run({"explain", file, "--output", output});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(service_.counterfactuals(), 2);
  EXPECT_EQ(ReadAll(output + "/records/a.json"), record);
}

TEST_F(ExplainTest, AnAnswerOfAModelThatChangedIsAskedForAgain) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::vector<std::string> command = {"explain", file, "--output", folder_ / "out"};
  EXPECT_EQ(Run(command).exit_code, 0);
  service_.RenameAttribute("ears rise");
  EXPECT_EQ(Run(command).exit_code, 0);
  EXPECT_EQ(service_.counterfactuals(), 2) << "its version is the same, its words are not";
}

TEST_F(ExplainTest, APhotographThatMovedIsToldByItsNewPath) {
  std::filesystem::create_directories(folder_ / "old");
  WriteGreyPng(folder_ / "old/a.png", 16, 10);
  const std::vector<std::string> rest = {"--json", "--output", folder_ / "out"};
  Run({"explain", folder_ / "old/a.png", rest[0], rest[1], rest[2]});
  std::filesystem::rename(folder_ / "old", folder_ / "new");
  const ProgramResult second = Run({"explain", folder_ / "new/a.png", rest[0], rest[1], rest[2]});
  EXPECT_EQ(service_.counterfactuals(), 1);
  EXPECT_EQ(ParseJsonLines(second.out)[0]["path"], folder_ / "new/a.png");
}

TEST_F(ExplainTest, AFileThatIsGoneIsWrittenAgain) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "out";
  for (const char* name : {"a-reconstruction.png", "a.gif", "a-step1.png"}) {
    EXPECT_EQ(Run({"explain", file, "--output", output}).exit_code, 0);
    EXPECT_TRUE(std::filesystem::remove(output + "/" + name)) << name;
  }
  EXPECT_EQ(Run({"explain", file, "--output", output}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(output + "/a-step1.png"));
  EXPECT_EQ(service_.counterfactuals(), 4);
}

TEST_F(ExplainTest, AReportOfFailuresReplacesAnEarlierOne) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "out";
  EXPECT_EQ(Run({"explain", file, "--output", output}).exit_code, 0);
  WriteText(file, "this is no image");
  EXPECT_EQ(Run({"explain", file, "--output", output}).exit_code, 1);
  EXPECT_EQ(Report(output)["counts"]["photographs"], 0);
  EXPECT_EQ(Report(output)["counts"]["failed"], 1);
  EXPECT_THAT(ReadAll(output + "/report.html"), HasSubstr("neither a JPEG nor a PNG"));
}

TEST_F(ExplainTest, OneRunAtATimeWritesIntoAFolder) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "out";
  std::filesystem::create_directories(output);
  const FolderLock lock = FolderLock::Take(output).value();
  const ProgramResult result = Run({"explain", folder_ / "a.png", "--output", output});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(output + ": another run is at work in this folder"));
  EXPECT_EQ(service_.counterfactuals(), 0);
}

TEST_F(ExplainTest, InterruptedItReportsWhatIsThere) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, kSlowGrey);
  WriteGreyPng(folder_ / "c.png", 16, kSlowGrey);
  const std::string output = folder_ / "out";
  for (const int signal : {SIGINT, SIGTERM}) {
    Program program({"explain", folder_.path(), "--calls", "2", "--server", service_.address(),
                     "--output", output},
                    {});
    Await(output + "/records/a.json");
    const auto begin = std::chrono::steady_clock::now();
    program.Signal(signal);
    const ProgramResult result = program.Wait();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_EQ(result.exit_code, 128 + signal) << result.err;
    const nlohmann::json report = Report(output);
    EXPECT_EQ(report["counts"]["photographs"], 1);
    EXPECT_EQ(report["counts"]["not_reached"], 2);
    EXPECT_EQ(report["counts"]["failed"], 0) << "an interruption is no fault of a file";
    EXPECT_TRUE(std::filesystem::exists(output + "/report.html"));
    std::filesystem::remove_all(output);
  }
}

TEST_F(ExplainTest, FoldersBelowAreLabelsAndItsOwnOutputIsNot) {
  std::filesystem::create_directories(folder_ / "pets/Cat");
  std::filesystem::create_directories(folder_ / "pets/other/dog");
  std::filesystem::create_directories(folder_ / "pets/.hidden");
  WriteGreyPng(folder_ / "pets/Cat/a.png", 16, 10);
  WriteGreyPng(folder_ / "pets/other/dog/a.png", 16, 20);
  WriteGreyPng(folder_ / "pets/.hidden/b.png", 16, 20);
  const std::string output = folder_ / "pets/out";
  for (int run = 0; run < 2; ++run) {
    EXPECT_EQ(Run({"explain", folder_ / "pets", "--output", output}).exit_code, 0);
    const nlohmann::json report = Report(output);
    ASSERT_EQ(report["photographs"].size(), 2u) << "run " << run;
    EXPECT_EQ(report["photographs"][0]["name"], "Cat-a");
    EXPECT_EQ(report["photographs"][0]["folder_label"], "cat");
    EXPECT_EQ(report["photographs"][1]["name"], "other-dog-a");
    EXPECT_EQ(report["photographs"][1]["folder_label"], "dog");
    EXPECT_EQ(report["photographs"][1]["decided"]["label"], "cat") << "which is wrong";
  }
  EXPECT_EQ(Run({"explain", folder_ / "pets", "--output", folder_ / "second"}).exit_code, 0);
  EXPECT_EQ(Report(folder_ / "second")["photographs"].size(), 2u) << "a report is no photograph";
}

TEST_F(ExplainTest, APersonSeesABar) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, 100);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"},
                                   {.environment = {}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("[####################] 2 of 2, "));
  EXPECT_THAT(result.err, HasSubstr(" a second, 0 s left"));
  EXPECT_THAT(result.err, testing::EndsWith("\r\033[K")) << "the bar stays on the screen";
  EXPECT_EQ(Count(result.out, " -> "), 2) << "what is piped gets its lines";
}

TEST_F(ExplainTest, AttributesThatMayBeMovedHaveNames) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const ProgramResult result = Run({"explain", file, "--attribute", "Ears droop", "--attribute",
                                    "7:max", "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const v1::CounterfactualRequest request = service_.counterfactual_request();
  ASSERT_EQ(request.attributes_size(), 2);
  EXPECT_EQ(request.attributes(0).index(), 40);
  EXPECT_EQ(request.attributes(0).direction(), v1::DIRECTION_TO_MIN);
  EXPECT_EQ(request.attributes(1).index(), 7);
  ExpectOneLine(Run({"explain", file, "--attribute", "tail", "--output", folder_ / "out"}),
                {"NOT_FOUND", "\"tail\"", "\"ears droop\""});
}

TEST_F(ExplainTest, EachMovedAttributeHasItsFrames) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  EXPECT_EQ(Run({"explain", file, "--frames", "5", "--output", folder_ / "out"}).exit_code, 0);
  const auto record =
      nlohmann::json::parse(ReadAll(folder_ / "out/records/a.json"), nullptr, false);
  ASSERT_EQ(record["pictures"]["frames"].size(), 2u) << "two attributes were moved";
  EXPECT_EQ(record["pictures"]["frames"][0].size(), 5u);
  EXPECT_EQ(Run({"explain", file, "--frames", "0", "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_TRUE(nlohmann::json::parse(ReadAll(folder_ / "out/records/a.json"), nullptr,
                                    false)["pictures"]["frames"]
                  .empty());
}

// From a photograph that is decided otherwise: of an attribute towards dogs, not a dog's.
TEST_F(ExplainTest, AttributesOfAClassAreShownOnAPhotographOfAnother) {
  WriteGreyPng(folder_ / "dog.png", 16, 100);
  const std::string output = folder_ / "out";
  const auto pair_of = [&] {
    const std::string html = ReadAll(output + "/report.html");
    const std::string begin = "id=\"overview\">";
    const size_t at = html.find(begin) + begin.size();
    const auto overview = nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at));
    EXPECT_EQ(overview["attributes"][0]["class"], "dog");
    const nlohmann::json attribute = overview["attributes"][0]["attributes"][0];
    EXPECT_EQ(attribute["words"], "ears droop");
    return attribute.value("pair", nlohmann::json());
  };
  EXPECT_EQ(Run({"explain", folder_.path(), "--output", output}).exit_code, 0);
  EXPECT_TRUE(pair_of().is_null()) << "there is only a dog";
  WriteGreyPng(folder_ / "tom.png", 16, 10);
  EXPECT_EQ(Run({"explain", folder_.path(), "--output", output}).exit_code, 0);
  EXPECT_EQ(pair_of()["of"], "tom");
  EXPECT_THAT(pair_of()["after"].get<std::string>(), testing::StartsWith("data:image/png;base64,"));
  EXPECT_EQ(service_.traverse_request().attribute().index(), 40);
  EXPECT_EQ(service_.traverse_request().shift_to(), 1);
}

TEST_F(ExplainTest, FramesLeadFromTheReconstructionToWhereItWasMoved) {
  const std::string file = WriteGreyPng(folder_ / "dog.png", 16, 100);
  EXPECT_EQ(Run({"explain", file, "--frames", "5", "--output", folder_ / "out"}).exit_code, 0);
  const v1::TraverseRequest request = service_.traverse_request();
  EXPECT_EQ(request.steps(), 4) << "the first frame is the reconstruction, which is there";
  EXPECT_TRUE(request.local()) << "as the counterfactual is";
  EXPECT_EQ(request.styles().values_size(), 64) << "encoded once, not for each attribute";
  EXPECT_EQ(request.output_format().encoding(), v1::OutputFormat::ENCODING_UNSPECIFIED)
      << "small frames are PNG files";
  EXPECT_EQ(
      Run({"explain", file, "--whole", "--frames", "5", "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_FALSE(service_.traverse_request().local());
}

TEST_F(ExplainTest, SeveralCallsAreInFlight) {
  for (const char* name : {"a.png", "b.png", "c.png", "d.png"}) {
    WriteGreyPng(folder_ / name, 16, kSlowGrey);
  }
  for (const int calls : {1, 3}) {
    const int before = service_.counterfactuals();
    Program program({"explain", folder_.path(), "--calls", std::to_string(calls), "--server",
                     service_.address(), "--output", folder_ / "out"},
                    {});
    for (int i = 0; i < 2000 && service_.counterfactuals() < before + calls; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // for one too many to come
    EXPECT_EQ(service_.counterfactuals(), before + calls);
    program.Signal(SIGINT);
    const ProgramResult result = program.Wait();
    EXPECT_EQ(result.exit_code, 130);
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out/report.html"))
        << "there is nothing to tell";
  }
}

TEST_F(ExplainTest, AFolderThatCannotBeWrittenEndsTheJob) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, 10);
  const std::string output = folder_ / "out";
  std::filesystem::create_directories(output + "/a-reconstruction.png/taken");
  const ProgramResult result = Run({"explain", folder_.path(), "--calls", "1", "--output", output});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("out/a-reconstruction.png"));
  EXPECT_EQ(service_.counterfactuals(), 1) << "the next photograph would fare no better";
}

TEST_F(ExplainTest, ManyRowsAreOnSeveralSheets) {
  for (int i = 0; i < 51; ++i) {
    WriteGreyPng(folder_ / ("a" + std::to_string(i) + ".png"), 16, static_cast<uint8_t>(100 + i));
  }
  EXPECT_EQ(
      Run({"explain", folder_.path(), "--output", folder_ / "out", "--limit", "50"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/sheet-2.png"));
  EXPECT_EQ(Run({"explain", folder_.path(), "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_EQ(ReadPicture(folder_ / "out/sheet-2.png").width,
            ReadPicture(folder_ / "out/sheet.png").width);
  EXPECT_LT(ReadPicture(folder_ / "out/sheet-2.png").height, 200) << "one row";
}

TEST_F(ExplainTest, FaultsAreOneLine) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "out";
  ExpectOneLine(Run({"explain", file, "--shift", "9", "--output", output}),
                {"INVALID_ARGUMENT", file, "shift: 9 is out of range; 0 to 4"});
  ExpectOneLine(Run({"explain", file, "--model", "birds", "--output", output}), {"NOT_FOUND"});
  ExpectOneLine(Run({"explain", file, "--output", file + "/x"}), {file + "/x"});
  ExpectOneLine(Run({"explain", folder_ / "none", "--output", output}), {folder_ / "none"});
  ExpectOneLine(RunProgram({"explain", file, "--server", "127.0.0.1:1", "--output", output}),
                {"UNAVAILABLE", "127.0.0.1:1"});
  EXPECT_FALSE(std::filesystem::exists(output + "/report.html"));
}

}  // namespace
}  // namespace stylex
