// safetensors files: eight bytes of header length, a JSON header, raw little-endian data. Read
// strictly, because a checkpoint comes from somebody else's disk.
#ifndef STYLEX_MODELS_CHECKPOINT_SAFETENSORS_H_
#define STYLEX_MODELS_CHECKPOINT_SAFETENSORS_H_

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stylex {

inline constexpr int64_t kMaxFileBytes = int64_t{8} << 30;  // of any file of a checkpoint

struct SafeTensors {
  std::map<std::string, torch::Tensor> tensors;  // on the CPU, contiguous, owning their memory
  std::map<std::string, std::string> metadata;   // the header's "__metadata__"
};

// Checks everything a header can claim before it is believed: its length, duplicate names, dtypes
// (F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL), shapes against byte ranges, order, overlaps,
// holes, trailing bytes, and bytes of a BOOL. DATA_LOSS names `origin`, the tensor and the fault.
absl::StatusOr<SafeTensors> ParseSafeTensors(std::string_view bytes, const std::string& origin);

// The whole file; NOT_FOUND and the like from reading, else as ParseSafeTensors.
absl::StatusOr<SafeTensors> ReadSafeTensors(const std::string& path);

// "[2, 3]", for messages.
std::string ShapeText(const torch::Tensor& tensor);

// Copies what was read from `path` into a network's own tensors: all of them, no more, each of its
// shape and kind (floating point or not), finite. INVALID_ARGUMENT names the path, the tensor, what
// was found and what was expected; `owner` says whose tensors they are, e.g. "this model".
absl::Status CopyTensors(const SafeTensors& stored, const std::string& path,
                         const std::string& owner,
                         const std::map<std::string, torch::Tensor>& into);

// Deterministic bytes: tensors by width of their type, then name; the header padded to a multiple
// of 8. INVALID_ARGUMENT for a type that the format lacks, a sparse tensor, or a name not in UTF-8.
absl::StatusOr<std::string> SerializeSafeTensors(const SafeTensors& content);

// Whole or not at all, see WriteFileAtomic.
absl::Status WriteSafeTensors(const SafeTensors& content, const std::string& path);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_SAFETENSORS_H_
