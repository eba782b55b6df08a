#include "image/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/pillow.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

TEST(CodecTest, FormatIsToldByTheFirstBytes) {
  EXPECT_EQ(DetectFormat(*EncodeJpeg(SmoothBitmap(4, 4, 1))), ImageFormat::kJpeg);
  EXPECT_EQ(DetectFormat(*EncodePng(SmoothBitmap(4, 4, 1))), ImageFormat::kPng);
  EXPECT_EQ(DetectFormat("GIF89a..."), ImageFormat::kGif);
  EXPECT_EQ(DetectFormat("GIF87a"), ImageFormat::kGif);
  EXPECT_EQ(DetectFormat("RIFF....WEBPVP8 "), ImageFormat::kWebp);
  for (const char* other :
       {"", "\xff", "\xff\xd8", "\x89PNG", "GIF88a", "BM......", "<svg/>", "RIFF....WAVE"}) {
    EXPECT_EQ(DetectFormat(other), ImageFormat::kUnknown) << other;
  }
}

TEST(CodecTest, RefusalsSayWhatWasExpected) {
  for (const char* bytes : {"", "GIF89a", "hello"}) {
    const absl::Status status = DecodeImage(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("JPEG"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("PNG"));
  }
}

// Pillow writes files of many kinds, and for each the pixels that it reads back, upright and
// composited over white.
TEST(CodecTest, AgreesWithPillow) {
  if (!HavePillow()) {
    GTEST_SKIP() << "/usr/bin/python3 has no Pillow";
  }
  const std::string folder = MakeTemporaryFolder();
  ASSERT_TRUE(RunPillow({"write", folder}));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".raw") {
      continue;
    }
    ++files;
    SCOPED_TRACE(entry.path());
    const absl::StatusOr<std::string> bytes = ReadFile(entry.path());
    const absl::StatusOr<std::string> raw = ReadFile(entry.path().string() + ".raw");
    ASSERT_TRUE(bytes.ok() && raw.ok());
    const absl::StatusOr<Bitmap> decoded = DecodeImage(*bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    std::string_view rest = *raw;
    EXPECT_LE(MaxDifference(*decoded, TakeBitmap(&rest)), 1);
  }
  EXPECT_GE(files, 36);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace stylex
