// Metadata that marks a picture as synthetic: that a generative model drew it, which program and
// model, and from which input.
#ifndef STYLEX_CLIENT_REPORT_SYNTHETIC_MARK_H_
#define STYLEX_CLIENT_REPORT_SYNTHETIC_MARK_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "image/codec.h"

namespace stylex {

struct SyntheticMark {
  std::string program;       // with its version: "stylex 1.2.3"
  std::string model;         // NAME/VERSION
  std::string input_sha256;  // of the photograph's file, hexadecimal; empty: there is not one
  bool in_part = false;      // a photograph into which a change was drawn

  // One line with all of it, for formats that hold one comment.
  std::string Comment() const;
  // The same as PNG texts, each by itself.
  std::vector<PngText> PngTexts() const;
};

// Of a picture that this program had a model draw.
SyntheticMark MakeMark(const std::string& model, const std::string& input_sha256);

// The same JPEG file with a comment (COM) behind its first marker; its pixels are left as they are.
// INVALID_ARGUMENT for what is no JPEG file, and a comment over 65533 bytes.
absl::StatusOr<std::string> AddJpegComment(std::string_view jpeg, std::string_view comment);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_SYNTHETIC_MARK_H_
