// Protobuf messages as JSON files: the format of every config and metadata file.
#ifndef STYLEX_MODELS_CHECKPOINT_JSON_MESSAGE_H_
#define STYLEX_MODELS_CHECKPOINT_JSON_MESSAGE_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stylex {

inline constexpr int64_t kMaxJsonBytes = 64 << 20;

// The standard JSON mapping, indented, fields in lowerCamelCase, ending with a newline.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// Replaces `message`. Field names in lowerCamelCase or as in the .proto file; an unknown one is
// INVALID_ARGUMENT naming it and `origin`.
absl::Status FromJson(const std::string& json, const std::string& origin,
                      google::protobuf::Message* message);

// RESOURCE_EXHAUSTED for a file larger than kMaxJsonBytes; else as ReadFile and FromJson.
absl::Status ReadJsonMessage(const std::string& path, google::protobuf::Message* message);
// Written atomically, see WriteFileAtomic.
absl::Status WriteJsonMessage(const google::protobuf::Message& message, const std::string& path);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_JSON_MESSAGE_H_
