// safetensors files: eight bytes of header length, a JSON header, raw little-endian data. The
// reader is strict, because checkpoints may come from untrusted sources.
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

// Validates the whole header before using it: its length, duplicate names, dtypes (F64, F32, F16,
// BF16, I64, I32, I16, I8, U8, BOOL), shapes against byte ranges, order, overlaps, holes, trailing
// bytes, and bytes of a BOOL. DATA_LOSS names `origin`, the tensor and the fault.
absl::StatusOr<SafeTensors> ParseSafeTensors(std::string_view bytes, const std::string& origin);

// Reads and parses a file; errors are those of ReadFile and ParseSafeTensors.
absl::StatusOr<SafeTensors> ReadSafeTensors(const std::string& path);

// "[2, 3]", for messages.
std::string ShapeText(const torch::Tensor& tensor);

// Copies the content of `path` into a network's tensors; names must match exactly, and shapes,
// kinds (floating point or not) and finiteness are checked. INVALID_ARGUMENT names the path, the
// tensor, what was found and what was expected; `owner` names the tensors' owner, e.g. "this
// model".
absl::Status CopyTensors(const SafeTensors& stored, const std::string& path,
                         const std::string& owner,
                         const std::map<std::string, torch::Tensor>& into);

// Deterministic bytes: tensors by width of their type, then name; the header padded to a multiple
// of 8. INVALID_ARGUMENT for a type that the format does not support, a sparse tensor, or a name
// that is not UTF-8.
absl::StatusOr<std::string> SerializeSafeTensors(const SafeTensors& content);

// Written atomically, see WriteFileAtomic.
absl::Status WriteSafeTensors(const SafeTensors& content, const std::string& path);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_SAFETENSORS_H_
