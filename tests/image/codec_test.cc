#include "image/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "image/format_names.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/pillow.h"

namespace stylex {
namespace {

using ::testing::StartsWith;
using std::string_literals::operator""s;
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

TEST(FormatNamesTest, OtherFormatsAreNamedAndSayWhatToDo) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"\0\0\0\x18"
       "ftypheic\0\0\0\0mif1heic"s,
       "a HEIC file"},
      {"\0\0\0\x18"
       "ftypmif1\0\0\0\0mif1heic"s,
       "a HEIC file"},
      {"\0\0\0\x1c"
       "ftypavif\0\0\0\0avifmif1"s,
       "an AVIF file"},
      {"II*\0\x08\0\0\0"s, "a TIFF file"},
      {"MM\0*\0\0\0\x08"s, "a TIFF file"},
      {"GIF89a\x10\0\x10\0"s, "a GIF file"},
      {"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"s, "a BMP file"},
      {"%PDF-1.7"s, "a PDF file"},
      {"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"s, "base64 text"},
      {"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgK\n"s, "base64 text"},
      {"data:image/png;base64,iVBORw0KGgo="s, "a data URL"},
      {"<svg xmlns='http://www.w3.org/2000/svg'/>"s, "an SVG drawing"},
      {"\n<!DOCTYPE html><html>404 Not Found"s, "a page of HTML"},
  };
  for (const auto& [bytes, name] : files) {
    const absl::Status status = DecodeImage(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith(name));
    EXPECT_THAT(std::string(status.message()), HasSubstr("expected"));
  }
}

TEST(FormatNamesTest, WhatIsUnknownIsNotGuessed) {
  for (const std::string& bytes : {"BMW is no image"s, "\x01\x02\x03"s, "ab"s, "some words"s}) {
    EXPECT_EQ(DescribeOtherFormat(bytes), "");
    EXPECT_THAT(std::string(DecodeImage(bytes).status().message()),
                StartsWith("neither a JPEG nor a PNG nor a WebP file"));
  }
}

}  // namespace
}  // namespace stylex
