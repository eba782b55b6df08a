// Extracts google.rpc's details from a status, as a client does.
#ifndef STYLEX_TESTS_SERVER_RPC_ERROR_DETAILS_H_
#define STYLEX_TESTS_SERVER_RPC_ERROR_DETAILS_H_

#include <grpcpp/support/status.h>

#include <optional>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stylex {

template <class Message>
std::optional<Message> FindDetail(const grpc::Status& status) {
  google::rpc::Status whole;
  Message message;
  if (whole.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& detail : whole.details()) {
      if (detail.UnpackTo(&message)) {
        return message;
      }
    }
  }
  return std::nullopt;
}

inline std::string ReasonOf(const grpc::Status& status) {
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : "";
}

// Fields of the BadRequest violations.
inline std::vector<std::string> ViolatedFields(const grpc::Status& status) {
  std::vector<std::string> fields;
  if (const auto bad_request = FindDetail<google::rpc::BadRequest>(status)) {
    for (const auto& violation : bad_request->field_violations()) {
      fields.push_back(violation.field());
    }
  }
  return fields;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_RPC_ERROR_DETAILS_H_
