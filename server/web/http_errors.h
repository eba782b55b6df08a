// Errors as HTTP tells them: the code that google.rpc.Code gives each gRPC code, and the
// google.rpc.Status, with its details, as JSON. All functions are pure.
#ifndef STYLEX_SERVER_WEB_HTTP_ERRORS_H_
#define STYLEX_SERVER_WEB_HTTP_ERRORS_H_

#include <grpcpp/support/status.h>

#include <string>

namespace stylex {

inline constexpr char kJsonType[] = "application/json; charset=utf-8";

// 200 for OK.
int HttpCodeOf(grpc::StatusCode code);

// {"code": 3, "message": "...", "details": [{"@type": "...", ...}]}; details that are no known
// type's are left out.
std::string StatusJson(const grpc::Status& status);

}  // namespace stylex

#endif  // STYLEX_SERVER_WEB_HTTP_ERRORS_H_
