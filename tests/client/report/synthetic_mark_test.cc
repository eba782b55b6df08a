// The marks of drawn pictures, as other programs find them.
#include "client/report/synthetic_mark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/gif.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const SyntheticMark kMark = {
    .program = "stylex 1.2.3", .model = "pets/3", .input_sha256 = "abc123", .in_part = false};

TEST(SyntheticMarkTest, TheCommentNamesAllOfIt) {
  EXPECT_THAT(kMark.Comment(),
              AllOf(HasSubstr("Synthetic image"), HasSubstr("stylex 1.2.3"), HasSubstr("pets/3"),
                    HasSubstr("abc123"), Not(HasSubstr("in part"))));
  SyntheticMark in_part = kMark;
  in_part.in_part = true;
  in_part.input_sha256.clear();
  EXPECT_THAT(in_part.Comment(),
              AllOf(HasSubstr("Synthetic image in part"), Not(HasSubstr("SHA"))));
}

TEST(SyntheticMarkTest, PngFilesHaveIt) {
  const Bitmap picture = Bitmap::Make(3, 3, 3, 40);
  const std::string png = EncodePng(picture, kMark.PngTexts()).value();
  EXPECT_THAT(png, AllOf(HasSubstr(kMark.Comment()), HasSubstr("trainedAlgorithmicMedia"),
                         HasSubstr("InputSHA256")));
  EXPECT_EQ(DecodeImage(png).value(), picture);
}

TEST(SyntheticMarkTest, AJpegFileGetsACommentAndKeepsItsPixels) {
  const std::string jpeg = EncodeJpeg(Bitmap::Make(9, 7, 3, 40)).value();
  const std::string marked = AddJpegComment(jpeg, "what it is").value();
  EXPECT_EQ(marked.size(), jpeg.size() + 4 + 10);
  EXPECT_EQ(marked.substr(0, 6), std::string("\xff\xd8\xff\xfe\x00\x0c", 6))
      << "start of image, comment, its length";
  EXPECT_EQ(marked.substr(6, 10), "what it is");
  EXPECT_EQ(DecodeImage(marked).value(), DecodeImage(jpeg).value());
}

TEST(SyntheticMarkTest, JpegCommentsHaveLimits) {
  const std::string jpeg = EncodeJpeg(Bitmap::Make(2, 2, 3, 40)).value();
  EXPECT_TRUE(DecodeImage(AddJpegComment(jpeg, std::string(65533, 'x')).value()).ok());
  EXPECT_EQ(AddJpegComment(jpeg, std::string(65534, 'x')).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AddJpegComment("GIF89a", "x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AddJpegComment("", "x").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SyntheticMarkTest, AGifFileHasAComment) {
  const Bitmap frames[] = {Bitmap::Make(4, 4, 3, 1), Bitmap::Make(4, 4, 3, 200)};
  const std::string plain = EncodeGif(frames, 100).value();
  const std::string marked = EncodeGif(frames, 100, kMark.Comment()).value();
  const std::string comment = kMark.Comment();
  EXPECT_THAT(marked,
              HasSubstr(std::string("!\xfe") + static_cast<char>(comment.size()) + comment));
  EXPECT_EQ(marked.size(), plain.size() + comment.size() + 4)
      << "two bytes that begin the extension, one of length, one that ends it";
}

}  // namespace
}  // namespace stylex
