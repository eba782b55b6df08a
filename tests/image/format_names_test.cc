#include "image/format_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/codec.h"

namespace stylex {
namespace {

using std::string_literals::operator""s;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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
