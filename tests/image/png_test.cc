#include "image/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <zlib.h>

#include <limits>
#include <new>

#include "tests/image/decoded.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/peak_memory.h"
#include "tests/image/png_writer.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

// Samples that cover the whole range of the depth.
std::vector<uint16_t> Samples(size_t count, int bit_depth) {
  const uint32_t most = (1u << bit_depth) - 1;
  std::vector<uint16_t> samples;
  for (size_t i = 0; i < count; ++i) {
    samples.push_back(static_cast<uint16_t>(i * 40503u % 65521 * most / 65520));
  }
  return samples;
}

// Any depth to 8 bits, rounded.
double To8Bits(double value, int bit_depth) { return value * 255 / ((1 << bit_depth) - 1); }

class PngDepthTest : public testing::TestWithParam<std::tuple<int, int, bool>> {};

// Grey, grey with alpha, RGB and RGB with alpha, in every depth that the format allows.
TEST_P(PngDepthTest, IsDecoded) {
  const auto [color_type, bit_depth, interlaced] = GetParam();
  const int colors = (color_type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
  const bool alpha = (color_type & PNG_COLOR_MASK_ALPHA) != 0;
  const int samples_per_pixel = colors + (alpha ? 1 : 0);
  for (const auto& [width, height] : {std::pair{13, 9}, {1, 1}, {8, 8}, {1, 5}}) {
    PngFile file{
        .width = width, .height = height, .bit_depth = bit_depth, .color_type = color_type};
    file.interlaced = interlaced;
    file.samples = Samples(static_cast<size_t>(width) * height * samples_per_pixel, bit_depth);
    const Bitmap decoded = DecodedOrEmpty(WritePng(file));
    ASSERT_EQ(decoded.channels, colors);
    ASSERT_EQ(decoded.width, width);
    ASSERT_EQ(decoded.height, height);
    for (int i = 0; i < width * height; ++i) {
      const uint16_t* pixel = &file.samples[static_cast<size_t>(i) * samples_per_pixel];
      const double opaque = alpha ? To8Bits(pixel[colors], bit_depth) / 255 : 1;
      for (int c = 0; c < colors; ++c) {
        const double expected = To8Bits(pixel[c], bit_depth) * opaque + 255 * (1 - opaque);
        EXPECT_NEAR(decoded.data[static_cast<size_t>(i) * colors + c], expected,
                    0.51 + alpha * 0.5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grey, PngDepthTest,
                         testing::Combine(testing::Values(PNG_COLOR_TYPE_GRAY),
                                          testing::Values(1, 2, 4, 8, 16), testing::Bool()));
INSTANTIATE_TEST_SUITE_P(Deep, PngDepthTest,
                         testing::Combine(testing::Values(PNG_COLOR_TYPE_GRAY_ALPHA,
                                                          PNG_COLOR_TYPE_RGB,
                                                          PNG_COLOR_TYPE_RGB_ALPHA),
                                          testing::Values(8, 16), testing::Bool()));

class PngPaletteTest : public testing::TestWithParam<int> {};

TEST_P(PngPaletteTest, IsExpanded) {
  const int bit_depth = GetParam();
  PngFile file{
      .width = 7, .height = 5, .bit_depth = bit_depth, .color_type = PNG_COLOR_TYPE_PALETTE};
  file.samples = Samples(35, bit_depth);
  for (int i = 0; i < 1 << bit_depth; ++i) {
    file.palette.push_back({static_cast<png_byte>(255 - i), static_cast<png_byte>(i * 7),
                            static_cast<png_byte>(i * 31)});
  }
  const Bitmap opaque = DecodedOrEmpty(WritePng(file));
  file.palette_alpha = {0};  // the first colour is transparent
  file.interlaced = true;
  const Bitmap transparent = DecodedOrEmpty(WritePng(file));
  ASSERT_EQ(opaque.channels, 3);
  ASSERT_EQ(transparent.channels, 3);
  for (size_t i = 0; i < file.samples.size(); ++i) {
    const png_color& color = file.palette[file.samples[i]];
    const std::array<uint8_t, 3> expected = {color.red, color.green, color.blue};
    const bool seen = file.samples[i] != 0;
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(opaque.data[3 * i + c], expected[c]);
      EXPECT_EQ(transparent.data[3 * i + c], seen ? expected[c] : 255);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PngPaletteTest, testing::Values(1, 2, 4, 8));

TEST(PngTest, TransparentColorBecomesWhite) {
  png_color_16 transparent = {};
  transparent.gray = 3;
  PngFile grey{.width = 3, .height = 1, .bit_depth = 4, .color_type = PNG_COLOR_TYPE_GRAY};
  grey.samples = {3, 4, 0};
  grey.transparent = &transparent;
  EXPECT_EQ(DecodedOrEmpty(WritePng(grey)), (Bitmap{3, 1, 1, {255, 68, 0}}));

  transparent = {.index = 0, .red = 10, .green = 20, .blue = 30, .gray = 0};
  PngFile rgb{.width = 2, .height = 1};
  rgb.samples = {10, 20, 30, 10, 20, 31};
  rgb.transparent = &transparent;
  EXPECT_EQ(DecodedOrEmpty(WritePng(rgb)), (Bitmap{2, 1, 3, {255, 255, 255, 10, 20, 31}}));
}

TEST(PngTest, GammaDoesNotChangePixels) {
  PngFile file{.width = 2, .height = 1, .color_type = PNG_COLOR_TYPE_GRAY_ALPHA};
  file.samples = {100, 255, 0, 128};
  file.gamma = 0.45455;
  EXPECT_EQ(DecodedOrEmpty(WritePng(file)), (Bitmap{2, 1, 1, {100, 127}}));
}

TEST(PngTest, EncodesWhatItDecodes) {
  for (const int channels : {1, 3}) {
    for (const auto& [width, height] : {std::pair{33, 21}, {1, 1}}) {
      const Bitmap original = SmoothBitmap(width, height, channels);
      const absl::StatusOr<std::string> bytes = EncodePng(original);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      EXPECT_EQ(DecodedOrEmpty(*bytes), original);
    }
  }
}

TEST(PngTest, TextIsKept) {
  const std::vector<PngText> texts = {{"Software", "StylEx"}, {"Description", "Gesicht, größer"}};
  const absl::StatusOr<std::string> bytes = EncodePng(SmoothBitmap(4, 4, 3), texts);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const std::vector<PngText> read = ReadPngText(*bytes);
  ASSERT_EQ(read.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(read[i].keyword, texts[i].keyword);
    EXPECT_EQ(read[i].value, texts[i].value);
  }
}

TEST(PngTest, RefusesToEncodeNonsense) {
  const Bitmap bitmap = SmoothBitmap(4, 4, 1);
  EXPECT_EQ(EncodePng(Bitmap{}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodePng(Bitmap::Make(0, 0, 1)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodePng(Bitmap::Make(2, 2, 4)).status().code(), absl::StatusCode::kInvalidArgument);
  for (const std::string& keyword :
       {std::string(), std::string(80, 'k'), std::string(" k"), std::string("k "),
        std::string("two  spaces"), std::string("a\nb"), std::string("a\0b", 3)}) {
    const PngText text[] = {{keyword, "value"}};
    EXPECT_EQ(EncodePng(bitmap, text).status().code(), absl::StatusCode::kInvalidArgument)
        << keyword;
  }
  const PngText zero[] = {{"keyword", std::string("a\0b", 3)}};
  EXPECT_EQ(EncodePng(bitmap, zero).status().code(), absl::StatusCode::kInvalidArgument);
}

constexpr size_t kHeaderAt = 8;      // after the signature
constexpr size_t kHeaderBytes = 25;  // length, type, 13 bytes, checksum

std::string WithSize(std::string bytes, std::string_view width, std::string_view height) {
  std::string header = bytes.substr(kHeaderAt + 8, 13);
  header.replace(0, 4, width).replace(4, 4, height);
  return bytes.replace(kHeaderAt, kHeaderBytes, PngChunk("IHDR", header));
}

TEST(PngTest, HugeClaimIsRefusedWithoutMemory) {
  using std::string_view_literals::operator""sv;
  const std::string bytes = *EncodePng(SmoothBitmap(16, 16, 3));
  const std::pair<std::string_view, std::string_view> claims[] = {
      {"\0\0\xea\x60"sv, "\0\0\xea\x60"sv},  // 60000 x 60000
      {"\x7f\xff\xff\xff"sv, "\x7f\xff\xff\xff"sv},
      {"\x7f\xff\xff\xff"sv, "\0\0\0\x01"sv},
      {"\0\0\0\x01"sv, "\x7f\xff\xff\xff"sv}};
  for (const auto& [width, height] : claims) {
    const std::string claiming = WithSize(bytes, width, height);
    const absl::Status status = DecodeImage(claiming).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("the limit is 16777216 pixels"));
    EXPECT_LE(PeakGrowthMebibytes([&] { (void)DecodeImage(claiming); }), 8);
  }
  EXPECT_EQ(DecodeImage(WithSize(bytes, "\0\0\0\0"sv, "\0\0\0\x10"sv)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PngTest, PixelLimitIsExact) {
  const std::string bytes = *EncodePng(SmoothBitmap(20, 10, 3));
  EXPECT_TRUE(DecodeImage(bytes, {.max_pixels = 200}).ok());
  EXPECT_EQ(DecodeImage(bytes, {.max_pixels = 199}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

// Texts that would decompress to 600 MB, each within libpng's own limit, are never decompressed.
TEST(PngTest, CompressedTextIsSkipped) {
  const std::string unfolded(6 << 20, 'a');
  uLongf size = compressBound(unfolded.size());
  std::string packed(size, '\0');
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(unfolded.data()), unfolded.size()),
            Z_OK);
  packed.resize(size);
  const Bitmap original = SmoothBitmap(16, 16, 3);
  std::string bytes = *EncodePng(original);
  for (int i = 0; i < 100; ++i) {
    bytes.insert(kHeaderAt + kHeaderBytes,
                 PngChunk("zTXt", std::string("Comment\0\0", 9) + packed));
  }
  EXPECT_EQ(DecodedOrEmpty(bytes), original);
  EXPECT_LE(PeakGrowthMebibytes([&] { (void)DecodeImage(bytes); }), 8);
}

TEST(PngTest, EveryWrongChecksumIsRefused) {
  const std::string bytes = *EncodePng(SmoothBitmap(16, 16, 3));
  for (const char* type : {"IHDR", "IDAT", "IEND"}) {
    std::string broken = bytes;
    const size_t at = bytes.find(type);
    size_t length = 0;
    for (size_t i = at - 4; i < at; ++i) {
      length = length << 8 | static_cast<uint8_t>(bytes[i]);
    }
    broken[at + 4 + length] ^= 1;
    const absl::Status status = DecodeImage(broken).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << type;
    EXPECT_THAT(std::string(status.message()), HasSubstr("broken PNG image")) << type;
  }
}

// Bytes that are allocated and not freed.
size_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// The bitmap of this header's image can never be allocated; libpng's own structures can.
TEST(PngTest, NothingLeaksWhereMemoryEnds) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer ends the program instead of throwing";
#endif
  using std::string_view_literals::operator""sv;
  const std::string file =
      WithSize(*EncodePng(SmoothBitmap(8, 8, 3)), "\x00\x10\x00\x00"sv, "\x7f\xff\xff\xff"sv);
  const DecodeLimits limits = {.max_pixels = std::numeric_limits<int64_t>::max()};
  EXPECT_THROW((void)DecodeImage(file, limits), std::bad_alloc);  // whatever is made only once
  const size_t before = AllocatedBytes();
  for (int i = 0; i < 10; ++i) {
    EXPECT_THROW((void)DecodeImage(file, limits), std::bad_alloc);
  }
  EXPECT_LT(AllocatedBytes(), before + 1000);
}

}  // namespace
}  // namespace stylex
