// Looks up attributes by name or description.
#ifndef STYLEX_CLIENT_ATTRIBUTE_NAMES_H_
#define STYLEX_CLIENT_ATTRIBUTE_NAMES_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/call.h"

namespace stylex {

// The attribute of the model's index with that name or description, whatever its case. NOT_FOUND
// lists what there is; INVALID_ARGUMENT says that several attributes are called so.
absl::StatusOr<v1::Attribute> FindAttribute(const v1::Model& model, const std::string& name);

// "INDEX", "INDEX:min" or "INDEX:max" as ParseAttribute; anything else is a name, for which the
// server is asked.
absl::StatusOr<v1::Attribute> ResolveAttribute(const ConnectionOptions& connection,
                                               v1::ExplanationService::Stub* stub,
                                               const std::string& text);

// "INDEX:SHIFT" or "INDEX:SHIFT:min|max" as ParseEdit, or "NAME:SHIFT".
absl::StatusOr<v1::StyleEdit> ResolveEdit(const ConnectionOptions& connection,
                                          v1::ExplanationService::Stub* stub,
                                          const std::string& text);

}  // namespace stylex

#endif  // STYLEX_CLIENT_ATTRIBUTE_NAMES_H_
