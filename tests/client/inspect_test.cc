// `models`, `classify`, `encode`, and behaviour common to all subcommands.
#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

using InspectTest = ClientFixture;

TEST_F(InspectTest, ModelsListsEveryPage) {
  const ProgramResult result = Run({"models"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("pets/3  ready  32x32  cat, dog"));
  EXPECT_THAT(result.out, HasSubstr("broken/1  failed"));
  EXPECT_THAT(result.out, HasSubstr("hash differs"));
}

TEST_F(InspectTest, ModelsAsJsonIsOneDocument) {
  const auto documents = ParseJsonLines(Run({"models", "--json"}).out);
  ASSERT_EQ(documents.size(), 1u);
  ASSERT_EQ(documents[0]["models"].size(), 2u);
  EXPECT_EQ(documents[0]["models"][0]["name"], "pets");
  EXPECT_EQ(documents[0]["models"][0]["labels"][2], kNastyLabel);
  EXPECT_EQ(documents[0]["models"][1]["state"], "MODEL_STATE_FAILED");
}

TEST_F(InspectTest, ClassifyPrintsTheMostProbableClasses) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 100);
  const ProgramResult result = Run({"classify", file});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(file + ": dog 75 %, cat 12.5 %"));
}

TEST_F(InspectTest, ClassifyAsJsonIsOneLineAFileThatNamesIt) {
  const std::string dog = WriteGreyPng(folder_ / "a \"quoted\".png", 16, 100);
  const std::string cat = WriteGreyPng(folder_ / "b.png", 16, 0);
  const auto documents = ParseJsonLines(Run({"classify", folder_.path(), "--json"}).out);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0]["path"], dog);
  EXPECT_EQ(documents[0]["prediction"]["label"], "dog");
  EXPECT_EQ(documents[0]["prediction"]["classId"], 1);
  EXPECT_EQ(documents[1]["path"], cat);
  EXPECT_EQ(documents[1]["prediction"]["label"], "cat");
}

TEST_F(InspectTest, ClassifyGoesOnAfterABadFile) {
  WriteText(folder_ / "a.png", "this is no image");
  WriteGreyPng(folder_ / "b.png", 16, 0);
  const ProgramResult result = Run({"classify", folder_.path()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("b.png: cat 75 %"));
  EXPECT_THAT(result.err,
              HasSubstr(folder_ / "a.png" + ": neither a JPEG nor a PNG nor a WebP file ("));
  EXPECT_THAT(result.err, HasSubstr("1 of 2 images failed"));
}

TEST_F(InspectTest, EncodePrintsSizesAndWritesTheAnswer) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 7);
  const std::string output = folder_ / "a.pb";
  const ProgramResult result = Run({"encode", file, "--output", output});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("cat 75.0 %, latent of 5 values, 64 style coordinates, 7 to"));
  v1::EncodeResponse response;
  ASSERT_TRUE(response.ParseFromString(ReadAll(output)));
  EXPECT_EQ(response.latent().values(0), 7);
}

TEST_F(InspectTest, EncodeAsJson) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 7);
  const auto documents = ParseJsonLines(Run({"encode", file, "--json"}).out);
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(documents[0]["styles"]["toRgb"].size(), 7u);
}

TEST_F(InspectTest, ServerAndModelComeFromTheEnvironmentToo) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 0);
  const std::string server = "STYLEX_SERVER=" + service_.address();
  EXPECT_EQ(RunProgram({"classify", file}, {.environment = {server}}).exit_code, 0);
  const ProgramResult result =
      RunProgram({"classify", file}, {.environment = {server, "STYLEX_MODEL=birds"}});
  ExpectOneLine(result, {"NOT_FOUND", "birds"});
}

TEST_F(InspectTest, OptionsBeatTheEnvironment) {
  const Program::Options options = {.environment = {"STYLEX_SERVER=127.0.0.1:1"}};
  EXPECT_EQ(Run({"models"}, options).exit_code, 0);
}

TEST_F(InspectTest, NobodyAtTheAddress) {
  ExpectOneLine(RunProgram({"models", "--server", "127.0.0.1:1"}), {"UNAVAILABLE", "127.0.0.1:1"});
}

TEST_F(InspectTest, UnknownModel) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 0);
  ExpectOneLine(Run({"classify", file, "--model", "birds"}),
                {"NOT_FOUND", "birds", "loaded: pets/3"});
}

TEST_F(InspectTest, ViolationsOfTheErrorDetailsAreShown) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 4, 0);
  ExpectOneLine(Run({"encode", file}), {"INVALID_ARGUMENT: the request is not valid; image.data: "
                                        "4 pixels wide; at least 8"});
}

TEST_F(InspectTest, MissingFile) {
  ExpectOneLine(Run({"classify", folder_ / "none.png"}), {"NOT_FOUND", folder_ / "none.png"});
  ExpectOneLine(Run({"encode", folder_ / "none.png"}), {"NOT_FOUND", folder_ / "none.png"});
}

TEST_F(InspectTest, TextFileIsRefusedAndNamedOnce) {
  const std::string file = folder_ / "notes.txt";
  WriteText(file, "this is no image");
  for (const char* command : {"classify", "encode"}) {
    const ProgramResult result = Run({command, file});
    ExpectOneLine(result,
                  {"INVALID_ARGUMENT", file + ": neither a JPEG nor a PNG nor a WebP file"});
    EXPECT_EQ(result.err.find(file), result.err.rfind(file)) << result.err;
  }
}

TEST_F(InspectTest, EmptyFolder) {
  ExpectOneLine(Run({"classify", folder_.path()}),
                {folder_.path(), "no .jpg, .jpeg, .png or .webp"});
}

TEST_F(InspectTest, BadCommandLines) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"unheard-of"},
                                             {"classify"},
                                             {"models", "--colour"},
                                             {"models", "--timeout", "x"}}) {
    const ProgramResult result = RunProgram(arguments);
    EXPECT_GT(result.exit_code, 0);
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr("--help"));
  }
  const ProgramResult help = RunProgram({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("explain"));
}

}  // namespace
}  // namespace stylex
