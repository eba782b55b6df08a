#include "image/gif.h"

#include <gif_lib.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "tests/image/jpeg_writer.h"

namespace stylex {
namespace {

struct Frame {
  Bitmap bitmap;
  int delay = 0;  // hundredths of a second
};

struct Animation {
  std::vector<Frame> frames;
  int loops = -1;  // 0: for ever; -1: not said
};

int Take(GifFileType* gif, GifByteType* out, int count) {
  std::string_view& rest = *static_cast<std::string_view*>(gif->UserData);
  const size_t taken = rest.copy(reinterpret_cast<char*>(out), static_cast<size_t>(count));
  rest.remove_prefix(taken);
  return static_cast<int>(taken);
}

int LoopsOf(const SavedImage& image) {
  for (int i = 0; i + 1 < image.ExtensionBlockCount; ++i) {
    const ExtensionBlock& block = image.ExtensionBlocks[i];
    const ExtensionBlock& next = image.ExtensionBlocks[i + 1];
    if (block.ByteCount == 11 && std::memcmp(block.Bytes, "NETSCAPE2.0", 11) == 0 &&
        next.ByteCount == 3) {
      return next.Bytes[1] | next.Bytes[2] << 8;
    }
  }
  return -1;
}

// By giflib's own decoder.
Animation Decode(const std::string& data) {
  Animation animation;
  std::string_view rest = data;
  int error = 0;
  GifFileType* gif = DGifOpen(&rest, Take, &error);
  if (gif == nullptr || DGifSlurp(gif) != GIF_OK) {
    ADD_FAILURE() << "giflib cannot read the file";
    DGifCloseFile(gif, &error);
    return animation;
  }
  animation.loops = LoopsOf(gif->SavedImages[0]);
  for (int i = 0; i < gif->ImageCount; ++i) {
    const SavedImage& image = gif->SavedImages[i];
    const ColorMapObject* map = image.ImageDesc.ColorMap;
    Frame frame{Bitmap::Make(image.ImageDesc.Width, image.ImageDesc.Height, 3)};
    for (size_t p = 0; p < frame.bitmap.data.size() / 3; ++p) {
      const GifColorType& color = map->Colors[image.RasterBits[p]];
      frame.bitmap.data[3 * p] = color.Red;
      frame.bitmap.data[3 * p + 1] = color.Green;
      frame.bitmap.data[3 * p + 2] = color.Blue;
    }
    GraphicsControlBlock control = {};
    DGifSavedExtensionToGCB(gif, i, &control);
    frame.delay = control.DelayTime;
    EXPECT_EQ(control.TransparentColor, NO_TRANSPARENT_COLOR);
    animation.frames.push_back(std::move(frame));
  }
  EXPECT_TRUE(rest.empty());
  DGifCloseFile(gif, &error);
  return animation;
}

// `colors` different ones.
Bitmap Patches(int width, int height, int colors) {
  Bitmap bitmap = Bitmap::Make(width, height, 3);
  for (int i = 0; i < width * height; ++i) {
    const int color = i % colors;
    bitmap.data[3 * static_cast<size_t>(i)] = static_cast<uint8_t>(color);
    bitmap.data[3 * static_cast<size_t>(i) + 1] = static_cast<uint8_t>(255 - color);
    bitmap.data[3 * static_cast<size_t>(i) + 2] = static_cast<uint8_t>(color * 37);
  }
  return bitmap;
}

TEST(GifTest, FewColorsAreExact) {
  for (const int colors : {1, 2, 3, 17, 255, 256}) {
    const std::vector<Bitmap> frames = {Patches(31, 17, colors), Patches(31, 17, 1)};
    const absl::StatusOr<std::string> data = EncodeGif(frames, 120);
    ASSERT_TRUE(data.ok()) << data.status();
    const Animation animation = Decode(*data);
    ASSERT_EQ(animation.frames.size(), 2u);
    EXPECT_EQ(animation.frames[0].bitmap, frames[0]) << colors;
    EXPECT_EQ(animation.frames[1].bitmap, frames[1]) << colors;
    EXPECT_EQ(animation.frames[0].delay, 12);
    EXPECT_EQ(animation.frames[1].delay, 12);
    EXPECT_EQ(animation.loops, 0);
  }
}

TEST(GifTest, GreyIsExact) {
  const Bitmap grey = SmoothBitmap(64, 64, 1);
  const Animation animation = Decode(*EncodeGif({&grey, 1}, 0));
  ASSERT_EQ(animation.frames.size(), 1u);
  for (size_t i = 0; i < grey.data.size(); ++i) {
    for (size_t c = 0; c < 3; ++c) {
      ASSERT_EQ(animation.frames[0].bitmap.data[3 * i + c], grey.data[i]);
    }
  }
}

TEST(GifTest, ManyColorsStayNear) {
  Bitmap bitmap = Bitmap::Make(128, 128, 3);
  for (int y = 0; y < 128; ++y) {
    for (int x = 0; x < 128; ++x) {
      uint8_t* pixel = bitmap.pixel(x, y);
      pixel[0] = static_cast<uint8_t>(2 * x);
      pixel[1] = static_cast<uint8_t>(2 * y);
      pixel[2] = static_cast<uint8_t>(x + y);
    }
  }
  const Animation animation = Decode(*EncodeGif({&bitmap, 1}, 100));
  ASSERT_EQ(animation.frames.size(), 1u);
  EXPECT_LE(MaxDifference(animation.frames[0].bitmap, bitmap), 24);
}

TEST(GifTest, OnePixel) {
  const Bitmap pixel = {1, 1, 3, {9, 8, 7}};
  EXPECT_EQ(Decode(*EncodeGif({&pixel, 1}, 10)).frames[0].bitmap, pixel);
}

TEST(GifTest, WrongInputIsRefused) {
  const Bitmap small = SmoothBitmap(4, 4, 3);
  const std::vector<Bitmap> differing = {small, SmoothBitmap(4, 5, 3)};
  const Bitmap two_channels = Bitmap::Make(4, 4, 2);
  const Bitmap wide = Bitmap::Make(65536, 1, 1);
  const Bitmap empty;
  for (const absl::Status& status :
       {EncodeGif({}, 100).status(), EncodeGif(differing, 100).status(),
        EncodeGif({&two_channels, 1}, 100).status(), EncodeGif({&wide, 1}, 100).status(),
        EncodeGif({&empty, 1}, 100).status(), EncodeGif({&small, 1}, -1).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  }
}

// In blocks of at most 255 bytes, before the first frame.
TEST(GifTest, ALongCommentIsKeptWhole) {
  const Bitmap frames[] = {Bitmap::Make(3, 3, 3, 9)};
  const std::string comment(600, 'c');
  const std::string gif = EncodeGif(frames, 100, comment).value();
  size_t at = gif.find("!\xfe");
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(at, gif.find(','));
  std::string read;
  for (at += 2; gif[at] != 0; at += 1 + static_cast<uint8_t>(gif[at])) {
    read += gif.substr(at + 1, static_cast<uint8_t>(gif[at]));
  }
  EXPECT_EQ(read, comment);
}

}  // namespace
}  // namespace stylex
