#include "image/gif.h"

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kMaxColors = 256;
constexpr int kMaxSide = 65535;

struct Indexed {
  std::vector<GifColorType> palette;  // a power of two of them, as the format wants
  std::vector<GifByteType> pixels;
};

// Keeps the colours as they are when there are few enough.
bool IndexExactly(const Bitmap& rgb, Indexed* out) {
  std::map<std::array<uint8_t, 3>, GifByteType> index;
  for (size_t i = 0; i < out->pixels.size(); ++i) {
    const uint8_t* color = &rgb.data[3 * i];
    const auto [entry, is_new] = index.try_emplace({color[0], color[1], color[2]},
                                                   static_cast<GifByteType>(out->palette.size()));
    if (is_new) {
      if (out->palette.size() == kMaxColors) {
        return false;
      }
      out->palette.push_back({color[0], color[1], color[2]});
    }
    out->pixels[i] = entry->second;
  }
  return true;
}

// Median cut, by giflib.
bool IndexNearby(const Bitmap& rgb, Indexed* out) {
  const size_t pixels = out->pixels.size();
  std::array<std::vector<GifByteType>, 3> planes;
  for (size_t c = 0; c < planes.size(); ++c) {
    planes[c].resize(pixels);
    for (size_t i = 0; i < pixels; ++i) {
      planes[c][i] = rgb.data[3 * i + c];
    }
  }
  int colors = kMaxColors;
  out->palette.assign(kMaxColors, GifColorType{});
  return GifQuantizeBuffer(static_cast<unsigned>(rgb.width), static_cast<unsigned>(rgb.height),
                           &colors, planes[0].data(), planes[1].data(), planes[2].data(),
                           out->pixels.data(), out->palette.data()) == GIF_OK;
}

absl::StatusOr<Indexed> Index(const Bitmap& frame) {
  const Bitmap rgb = ConvertChannels(frame, 3);
  Indexed out;
  out.pixels.resize(rgb.data.size() / 3);
  if (!IndexExactly(rgb, &out) && !IndexNearby(rgb, &out)) {
    return absl::InternalError("giflib cannot reduce the colours of a frame");
  }
  const int bits = GifBitSize(static_cast<int>(out.palette.size()));
  out.palette.resize(size_t{1} << bits);
  return out;
}

absl::Status CheckFrames(std::span<const Bitmap> frames, int delay_ms) {
  if (frames.empty()) {
    return absl::InvalidArgumentError("a GIF needs at least one frame");
  }
  if (delay_ms < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("GIF delay of ", delay_ms, " ms; expected 0 or more"));
  }
  const Bitmap& first = frames[0];
  if (first.width < 1 || first.height < 1 || first.width > kMaxSide || first.height > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat("GIF frames of ", first.width, "x", first.height,
                                                   "; expected sides of 1 to ", kMaxSide));
  }
  for (const Bitmap& frame : frames) {
    if (frame.width != first.width || frame.height != first.height) {
      return absl::InvalidArgumentError(absl::StrCat("GIF frames of different sizes: ", first.width,
                                                     "x", first.height, " and ", frame.width, "x",
                                                     frame.height));
    }
    if (frame.channels != 1 && frame.channels != 3) {
      return absl::InvalidArgumentError(
          absl::StrCat("GIF frame of ", frame.channels, " channels; expected 1 or 3"));
    }
  }
  return absl::OkStatus();
}

int Append(GifFileType* gif, const GifByteType* bytes, int count) {
  static_cast<std::string*>(gif->UserData)
      ->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
  return count;
}

bool PutHeader(GifFileType* gif, const Bitmap& frame) {
  constexpr GifByteType kLoopForEver[] = {1, 0, 0};
  constexpr char kApplication[] = "NETSCAPE2.0";
  EGifSetGifVersion(gif, /*gif89=*/true);
  return EGifPutScreenDesc(gif, frame.width, frame.height, /*GifColorRes=*/8,
                           /*GifBackGround=*/0, /*GifColorMap=*/nullptr) == GIF_OK &&
         EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
         EGifPutExtensionBlock(gif, sizeof(kApplication) - 1, kApplication) == GIF_OK &&
         EGifPutExtensionBlock(gif, sizeof(kLoopForEver), kLoopForEver) == GIF_OK &&
         EGifPutExtensionTrailer(gif) == GIF_OK;
}

bool PutFrame(GifFileType* gif, const Bitmap& frame, Indexed indexed, int delay_ms) {
  const std::unique_ptr<ColorMapObject, void (*)(ColorMapObject*)> map(
      GifMakeMapObject(static_cast<int>(indexed.palette.size()), indexed.palette.data()),
      GifFreeMapObject);
  GraphicsControlBlock control = {};
  control.DisposalMode = DISPOSE_DO_NOT;
  control.DelayTime = std::min((delay_ms + 5) / 10, kMaxSide);  // hundredths of a second
  control.TransparentColor = NO_TRANSPARENT_COLOR;
  GifByteType extension[4];
  const size_t size = EGifGCBToExtension(&control, extension);
  return map != nullptr &&
         EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, static_cast<int>(size), extension) ==
             GIF_OK &&
         EGifPutImageDesc(gif, 0, 0, frame.width, frame.height, /*GifInterlace=*/false,
                          map.get()) == GIF_OK &&
         EGifPutLine(gif, indexed.pixels.data(), static_cast<int>(indexed.pixels.size())) == GIF_OK;
}

}  // namespace

absl::StatusOr<std::string> EncodeGif(std::span<const Bitmap> frames, int delay_ms) {
  STYLEX_RETURN_IF_ERROR(CheckFrames(frames, delay_ms));
  std::string data;
  int error = 0;
  GifFileType* gif = EGifOpen(&data, Append, &error);
  if (gif == nullptr) {
    return absl::InternalError(absl::StrCat("giflib: ", GifErrorString(error)));
  }
  bool written = PutHeader(gif, frames[0]);
  absl::Status status;
  for (size_t i = 0; i < frames.size() && written && status.ok(); ++i) {
    absl::StatusOr<Indexed> indexed = Index(frames[i]);
    status = indexed.status();
    written = status.ok() && PutFrame(gif, frames[i], *std::move(indexed), delay_ms);
  }
  error = gif->Error;
  const bool closed = EGifCloseFile(gif, written ? &error : nullptr) == GIF_OK;
  STYLEX_RETURN_IF_ERROR(status);
  if (!written || !closed) {
    return absl::InternalError(absl::StrCat("giflib: ", GifErrorString(error)));
  }
  return data;
}

}  // namespace stylex
