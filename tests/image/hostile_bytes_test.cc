// Untrusted bytes: truncated, flipped, spliced. With sanitizers these tests are a small fuzzer;
// without, they still detect crashes and wrong results.
#include <gtest/gtest.h>

#include <random>

#include "image/codec.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/png_writer.h"
#include "tests/image/webp_writer.h"

namespace stylex {
namespace {

constexpr DecodeLimits kLimits = {.max_pixels = 1 << 16};

std::vector<std::string> Files() {
  const Bitmap color = SmoothBitmap(19, 13, 3);
  JpegFile progressive = JpegOf(color);
  progressive.progressive = true;
  progressive.subsampling = 2;
  progressive.app1 = ExifWithOrientation(6, false);
  JpegFile cmyk = JpegOf(color);
  cmyk.width = 9;
  cmyk.height = 8;
  cmyk.samples.resize(9 * 8 * 4);
  cmyk.samples_space = JCS_CMYK;
  cmyk.file_space = JCS_YCCK;
  cmyk.adobe_marker = true;
  JpegFile arithmetic = JpegOf(SmoothBitmap(17, 9, 1));
  arithmetic.arithmetic = true;
  PngFile palette{.width = 13, .height = 7, .bit_depth = 4, .color_type = PNG_COLOR_TYPE_PALETTE};
  palette.interlaced = true;
  palette.samples.resize(13 * 7, 5);
  palette.palette.resize(16, {1, 2, 3});
  palette.palette_alpha = {1, 2, 3};
  PngFile deep{.width = 5, .height = 6, .bit_depth = 16, .color_type = PNG_COLOR_TYPE_RGB_ALPHA};
  deep.samples.resize(5 * 6 * 4, 12345);
  const PngText text[] = {{"Software", "StylEx"}};
  return {WriteJpeg(JpegOf(color)), WriteJpeg(progressive),  WriteJpeg(cmyk),
          WriteJpeg(arithmetic),    *EncodePng(color, text), WritePng(palette),
          WritePng(deep),           WriteWebp(color, 75),    WriteWebp(color, 0)};
}

void ExpectSound(const absl::StatusOr<Bitmap>& bitmap) {
  if (!bitmap.ok()) {
    EXPECT_TRUE(absl::IsInvalidArgument(bitmap.status()) ||
                absl::IsResourceExhausted(bitmap.status()))
        << bitmap.status();
    EXPECT_FALSE(bitmap.status().message().empty());
    return;
  }
  EXPECT_GE(bitmap->width, 1);
  EXPECT_GE(bitmap->height, 1);
  EXPECT_LE(int64_t{bitmap->width} * bitmap->height, kLimits.max_pixels);
  EXPECT_TRUE(bitmap->channels == 1 || bitmap->channels == 3);
  EXPECT_EQ(bitmap->data.size(),
            static_cast<size_t>(bitmap->width) * bitmap->height * bitmap->channels);
}

TEST(HostileBytesTest, EveryPrefixIsAnError) {
  for (const std::string& file : Files()) {
    ASSERT_TRUE(DecodeImage(file).ok()) << DecodeImage(file).status();
    for (size_t size = 0; size < file.size(); ++size) {
      // A separate copy, so that a sanitizer detects reads past the end.
      const std::vector<char> prefix(file.begin(), file.begin() + static_cast<long>(size));
      const absl::Status status = DecodeImage({prefix.data(), prefix.size()}).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
          << size << " of " << file.size() << " bytes: " << status;
    }
  }
}

TEST(HostileBytesTest, FlippedBytes) {
  std::mt19937 random(1);
  for (const std::string& file : Files()) {
    for (int round = 0; round < 1500; ++round) {
      std::vector<char> bytes(file.begin(), file.end());
      for (unsigned flips = 1 + random() % 6; flips > 0; --flips) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      ExpectSound(DecodeImage({bytes.data(), bytes.size()}, kLimits));
    }
  }
}

// Corrupt chunks with corrected checksums, which libpng does not detect.
TEST(HostileBytesTest, FlippedBytesWithRightChecksums) {
  std::mt19937 random(2);
  for (const std::string& file : Files()) {
    if (DetectFormat(file) != ImageFormat::kPng) {
      continue;
    }
    for (int round = 0; round < 1500; ++round) {
      std::string bytes = file.substr(0, 8);
      for (size_t at = 8; at + 12 <= file.size();) {
        const size_t length = static_cast<size_t>(static_cast<uint8_t>(file[at + 2])) << 8 |
                              static_cast<uint8_t>(file[at + 3]);
        std::string data = file.substr(at + 8, length);
        if (!data.empty() && random() % 2 == 0) {
          data[random() % data.size()] = static_cast<char>(random());
        }
        bytes += PngChunk(file.substr(at + 4, 4), data);
        at += 12 + length;
      }
      ExpectSound(DecodeImage(bytes, kLimits));
    }
  }
}

TEST(HostileBytesTest, SplicedFiles) {
  std::mt19937 random(3);
  const std::vector<std::string> files = Files();
  for (int round = 0; round < 3000; ++round) {
    const std::string& head = files[random() % files.size()];
    const std::string& tail = files[random() % files.size()];
    const std::string bytes =
        head.substr(0, random() % head.size()) + tail.substr(random() % tail.size());
    ExpectSound(DecodeImage(bytes, kLimits));
  }
}

TEST(HostileBytesTest, NoiseAfterTheSignature) {
  std::mt19937 random(4);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = round % 2 == 0 ? "\xff\xd8\xff" : "\x89PNG\r\n\x1a\n";
    for (unsigned count = random() % 300; count > 0; --count) {
      bytes.push_back(static_cast<char>(random()));
    }
    ExpectSound(DecodeImage(bytes, kLimits));
  }
}

}  // namespace
}  // namespace stylex
