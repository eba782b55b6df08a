// Reads arbitrary bytes as one of a checkpoint's files (selected by the first byte); they must be
// read or refused.
#include <torch/types.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/checkpoint/json_message.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/safetensors.h"
#include "stylex/v1/attribute_index.pb.h"

namespace stylex {
namespace {

void ReadWeights(const std::string& bytes) {
  const absl::StatusOr<SafeTensors> content = ParseSafeTensors(bytes, "weights");
  if (!content.ok()) {
    return;
  }
  // Content that was read can be written and read again.
  const absl::StatusOr<std::string> written = SerializeSafeTensors(*content);
  if (!written.ok()) {
    std::abort();
  }
  const absl::StatusOr<SafeTensors> again = ParseSafeTensors(*written, "weights");
  if (!again.ok() || again->tensors.size() != content->tensors.size() ||
      again->metadata != content->metadata) {
    std::abort();
  }
}

void ReadConfig(const std::string& bytes) {
  v1::ModelConfig config;
  if (FromJson(bytes, "model.json", &config).ok()) {
    ValidateModelConfig(config, "model.json").IgnoreError();
  }
}

void ReadIndex(const std::string& bytes) {
  v1::AttributeIndex index;
  if (FromJson(bytes, "attributes.json", &index).ok() && !ToJson(index).ok()) {
    std::abort();
  }
}

}  // namespace
}  // namespace stylex

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      stylex::ReadWeights(bytes);
      break;
    case 1:
      stylex::ReadConfig(bytes);
      break;
    default:
      stylex::ReadIndex(bytes);
  }
  return 0;
}
