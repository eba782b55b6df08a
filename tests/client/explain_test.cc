// `explain`: its files, its report, and its behaviour if some photographs cannot be explained.
#include <filesystem>

#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

using ExplainTest = ClientFixture;

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
  EXPECT_THAT(ReadAll(folder_ / "out/report.html"), HasSubstr("changed everywhere"));
  EXPECT_EQ(Run({"explain", file, "--whole", "--output", folder_ / "out"}).exit_code, 0);
  EXPECT_FALSE(service_.counterfactual_request().local());
  EXPECT_TRUE(service_.counterfactual_request().include_on_photograph());
  EXPECT_THAT(ReadAll(folder_ / "out/report.html"), Not(HasSubstr("changed everywhere")));
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
  EXPECT_THAT(html, Not(HasSubstr("the change on the photograph")));
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
  EXPECT_EQ(request.model(), "pets");
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
  EXPECT_EQ(Count(ReadAll(output + "/report.html"), "<section"), 2);
}

TEST_F(ExplainTest, ReportEscapesLoadsNothingAndRunsNothing) {
  const std::string name = "<script>alert(2)<img src='x'>\"&.png";
  WriteGreyPng(folder_ / name, 16, 100);
  WriteGreyPng(folder_ / "stays.png", 16, 200);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string html = ReadAll(folder_ / "out/report.html");
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(2)&lt;img src=&#39;x&#39;&gt;&quot;&amp;"));
  EXPECT_THAT(html, HasSubstr("&lt;b&gt;ears&lt;/b&gt;"));
  EXPECT_THAT(html, HasSubstr("&lt;i&gt;Pets&lt;/i&gt;"));
  EXPECT_THAT(html, HasSubstr("no &lt;further&gt; attribute"));
  for (const char* part : {"<script", "<b>ears", "<i>Pets", "<further", "src='x'", "http://",
                           "https://", "<link", "@import", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(part)));
  }
  // Five pictures and two steps for each of the two photographs, and the one that flips once more.
  EXPECT_EQ(Count(html, "<img "), 15);
  EXPECT_EQ(Count(html, "src=\"data:image/png;base64,"), 13);
  EXPECT_EQ(Count(html, "src=\"data:image/gif;base64,"), 2);
}

TEST_F(ExplainTest, ReportTellsWhatStayedAndHowManyFlipped) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, 200);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << "that no counterfactual was found is an answer";
  EXPECT_THAT(result.out, HasSubstr("(no <further> attribute raises the target)"));
  const std::string html = ReadAll(folder_ / "out/report.html");
  EXPECT_EQ(Count(html, "Not flipped: "), 1);
  EXPECT_THAT(html, HasSubstr("<b>2</b><span>photographs"));
  EXPECT_THAT(html, HasSubstr("<b>1</b><span>decisions flipped"));
  EXPECT_THAT(html, HasSubstr("95.3 %"));
}

TEST_F(ExplainTest, WhatIsUnlikeTheTrainingImagesIsSaid) {
  WriteGreyPng(folder_ / "a.png", 16, 10);
  WriteGreyPng(folder_ / "b.png", 16, kStrangeGrey);
  const ProgramResult result = Run({"explain", folder_.path(), "--output", folder_ / "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Count(result.out, "unlike the training images: reconstructed worse than 99.7 %"), 1);
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
  const auto documents =
      ParseJsonLines(Run({"explain", folder_.path(), "--json", "--output", folder_ / "out"}).out);
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
