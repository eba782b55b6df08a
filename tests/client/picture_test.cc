// `reconstruct` and `traverse`.
#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

using PictureTest = ClientFixture;

TEST_F(PictureTest, ReconstructWritesThePictureMarkedAsSynthetic) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "out.png";
  const ProgramResult result = Run({"reconstruct", file, "--output", output});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("cat -> cat"));
  EXPECT_THAT(result.out, HasSubstr("PSNR 31.25 dB"));
  EXPECT_EQ(ReadPicture(output), Bitmap::Make(kFakeSide, kFakeSide, 3, 10));
  EXPECT_THAT(PngTexts(output), Contains(HasSubstr("Synthetic image")));
}

TEST_F(PictureTest, ReconstructSendsItsEdits) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const ProgramResult result = Run({"reconstruct", file, "--edit", "3:0.5:min", "--edit", "9:-1",
                                    "--json", "--output", folder_ / "out.png"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto documents = ParseJsonLines(result.out);
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(documents[0]["reconstruction"]["classId"], 2);
  const v1::ReconstructRequest request = service_.reconstruct_request();
  ASSERT_EQ(request.edits_size(), 2);
  EXPECT_EQ(request.edits(0).index(), 3);
  EXPECT_EQ(request.edits(0).shift(), 0.5);
  EXPECT_EQ(request.edits(0).direction(), v1::DIRECTION_TO_MIN);
  EXPECT_EQ(request.edits(1).shift(), -1);
  EXPECT_FALSE(request.local());
}

TEST_F(PictureTest, ChangesAreConfinedOnRequest) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  Run({"reconstruct", file, "--edit", "3:1", "--local", "--output", folder_ / "out.png"});
  EXPECT_TRUE(service_.reconstruct_request().local());
  Run({"traverse", file, "--attribute", "5", "--local", "--output", folder_ / "walk.gif"});
  EXPECT_TRUE(service_.traverse_request().local());
}

TEST_F(PictureTest, ReconstructRefusesABadEdit) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  ExpectOneLine(Run({"reconstruct", file, "--edit", "3"}), {"\"3\" is no edit", "INDEX:SHIFT"});
}

TEST_F(PictureTest, ReconstructSaysWhereItCannotWrite) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "none/out.png";
  ExpectOneLine(Run({"reconstruct", file, "--output", output}), {output});
}

TEST_F(PictureTest, TraverseWritesAGifThatGoesThereAndBack) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const std::string output = folder_ / "walk.gif";
  const ProgramResult result = Run({"traverse", file, "--attribute", "5:min", "--steps", "6",
                                    "--from", "-1", "--to", "2", "--output", output});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("shift -1.000  cat 75.0 %"));
  EXPECT_THAT(result.out, HasSubstr("shift  2.000  dog 75.0 %"));
  const GifFacts gif = ReadGif(output);
  EXPECT_EQ(gif.width, 256);
  EXPECT_EQ(gif.height, 256);
  EXPECT_EQ(gif.frames, 6 + 4);
  const v1::TraverseRequest request = service_.traverse_request();
  EXPECT_EQ(request.attribute().index(), 5);
  EXPECT_EQ(request.attribute().direction(), v1::DIRECTION_TO_MIN);
  EXPECT_EQ(request.shift_from(), -1);
  EXPECT_EQ(request.shift_to(), 2);
  EXPECT_FALSE(request.local());
}

TEST_F(PictureTest, TraverseAsJsonIsOneLineAFrame) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const auto documents = ParseJsonLines(Run({"traverse", file, "--attribute", "5", "--steps", "3",
                                             "--json", "--output", folder_ / "walk.gif"})
                                            .out);
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[2]["step"], 2);
  EXPECT_EQ(documents[2]["shift"], 1.0);
}

TEST_F(PictureTest, TraverseRefusesABadAttribute) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  ExpectOneLine(Run({"traverse", file, "--attribute", "tail"}), {"NOT_FOUND", "\"tail\""});
  ExpectOneLine(Run({"traverse", file, "--attribute", "5:up"}), {"\"up\"", "min or max"});
}

}  // namespace
}  // namespace stylex
