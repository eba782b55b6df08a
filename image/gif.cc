#include "image/gif.h"

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kMaxColors = 256;
constexpr int kMaxSide = 65535;

struct Indexed {
  std::vector<GifColorType> palette;  // size is a power of two, as the format requires
  std::vector<GifByteType> pixels;
};

// Pixels that share a palette colour: a range of the list of all pixels.
struct Box {
  size_t begin;
  size_t end;
  std::array<int64_t, 3> sums;
  int axis;      // the channel that varies most
  double error;  // summed squared deviation of that channel from its mean
};

Box MakeBox(const Bitmap& rgb, const std::vector<uint32_t>& order, size_t begin, size_t end) {
  Box box{begin, end, {}, 0, 0};
  std::array<int64_t, 3> squares = {};
  std::array<int, 3> least = {255, 255, 255};
  std::array<int, 3> most = {};
  for (size_t i = begin; i < end; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const int sample = rgb.data[3 * size_t{order[i]} + c];
      box.sums[c] += sample;
      squares[c] += sample * sample;
      least[c] = std::min(least[c], sample);
      most[c] = std::max(most[c], sample);
    }
  }
  for (size_t c = 0; c < 3; ++c) {
    const double sum = static_cast<double>(box.sums[c]);
    const double error =
        static_cast<double>(squares[c]) - sum * sum / static_cast<double>(end - begin);
    if (least[c] < most[c] && error > box.error) {
      box.axis = static_cast<int>(c);
      box.error = error;
    }
  }
  return box;
}

// Repeatedly splits the box with the greatest error at its mean; exact if there are few enough
// colours. (giflib's own reduction is deprecated, coarser and slower.)
std::vector<Box> SplitColors(const Bitmap& rgb, std::vector<uint32_t>* order) {
  std::vector<Box> boxes = {MakeBox(rgb, *order, 0, order->size())};
  while (boxes.size() < kMaxColors) {
    const auto worst = std::max_element(
        boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.error < b.error; });
    if (worst->error <= 0) {
      break;
    }
    const Box box = *worst;
    const int64_t mean = box.sums[box.axis] / static_cast<int64_t>(box.end - box.begin);
    const auto first = order->begin();
    const auto middle = std::partition(
        first + static_cast<int64_t>(box.begin), first + static_cast<int64_t>(box.end),
        [&](uint32_t i) { return rgb.data[3 * size_t{i} + box.axis] <= mean; });
    const auto split = static_cast<size_t>(middle - first);
    *worst = MakeBox(rgb, *order, box.begin, split);
    boxes.push_back(MakeBox(rgb, *order, split, box.end));
  }
  return boxes;
}

Indexed Index(const Bitmap& frame) {
  const Bitmap rgb = ConvertChannels(frame, 3);
  std::vector<uint32_t> order(rgb.data.size() / 3);
  std::iota(order.begin(), order.end(), 0u);
  Indexed out;
  out.pixels.resize(order.size());
  for (const Box& box : SplitColors(rgb, &order)) {
    const auto count = static_cast<int64_t>(box.end - box.begin);
    const auto mean = [&](size_t c) {
      return static_cast<GifByteType>((box.sums[c] + count / 2) / count);
    };
    for (size_t i = box.begin; i < box.end; ++i) {
      out.pixels[order[i]] = static_cast<GifByteType>(out.palette.size());
    }
    out.palette.push_back({mean(0), mean(1), mean(2)});
  }
  out.palette.resize(size_t{1} << GifBitSize(static_cast<int>(out.palette.size())));
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

absl::StatusOr<std::string> EncodeGif(std::span<const Bitmap> frames, int delay_ms,
                                      const std::string& comment) {
  STYLEX_RETURN_IF_ERROR(CheckFrames(frames, delay_ms));
  std::string data;
  int error = 0;
  GifFileType* gif = EGifOpen(&data, Append, &error);
  if (gif == nullptr) {
    return absl::InternalError(absl::StrCat("giflib: ", GifErrorString(error)));
  }
  bool written = PutHeader(gif, frames[0]) &&
                 (comment.empty() || EGifPutComment(gif, comment.c_str()) == GIF_OK);
  for (size_t i = 0; i < frames.size() && written; ++i) {
    written = PutFrame(gif, frames[i], Index(frames[i]), delay_ms);
  }
  error = gif->Error;
  const bool closed = EGifCloseFile(gif, written ? &error : nullptr) == GIF_OK;
  if (!written || !closed) {
    return absl::InternalError(absl::StrCat("giflib: ", GifErrorString(error)));
  }
  return data;
}

}  // namespace stylex
