#include "client/report/synthetic_mark.h"

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

// IPTC's terms for pictures that a trained network generated, wholly and in part.
constexpr char kDrawn[] = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
constexpr char kDrawnInPart[] =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

constexpr size_t kMarkerBytes = 2, kLengthBytes = 2, kLongestSegment = 65535;

}  // namespace

std::string SyntheticMark::Comment() const {
  return absl::StrCat("Synthetic image",
                      in_part ? " in part: a photograph with a change that was" : ",",
                      " drawn by the StylEx model ", model, "; program: ", program,
                      input_sha256.empty() ? "" : "; input's SHA-256: ", input_sha256);
}

std::vector<PngText> SyntheticMark::PngTexts() const {
  std::vector<PngText> texts = {{"Software", program},
                                {"Comment", Comment()},
                                {"Model", model},
                                {"DigitalSourceType", in_part ? kDrawnInPart : kDrawn}};
  if (!input_sha256.empty()) {
    texts.push_back({"InputSHA256", input_sha256});
  }
  return texts;
}

SyntheticMark MakeMark(const std::string& model, const std::string& input_sha256) {
  return {.program = "stylex " STYLEX_VERSION, .model = model, .input_sha256 = input_sha256};
}

absl::StatusOr<std::string> AddJpegComment(std::string_view jpeg, std::string_view comment) {
  if (DetectFormat(jpeg) != ImageFormat::kJpeg) {
    return absl::InvalidArgumentError("a comment is to be added to what is no JPEG file");
  }
  const size_t length = kLengthBytes + comment.size();
  if (length > kLongestSegment) {
    return absl::InvalidArgumentError(
        absl::StrCat("a JPEG comment of ", comment.size(), " bytes; at most 65533"));
  }
  std::string marked(jpeg.substr(0, kMarkerBytes));
  marked.append({'\xff', '\xfe', static_cast<char>(length >> 8), static_cast<char>(length & 0xff)});
  marked.append(comment);
  marked.append(jpeg.substr(kMarkerBytes));
  return marked;
}

}  // namespace stylex
