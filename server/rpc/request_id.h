// The id of a call in logs and answers.
#ifndef STYLEX_SERVER_RPC_REQUEST_ID_H_
#define STYLEX_SERVER_RPC_REQUEST_ID_H_

#include <string>

namespace stylex {

// Metadata of requests, which may bring an id, and trailing metadata of answers.
inline constexpr char kRequestIdKey[] = "x-request-id";

// 16 hexadecimal digits.
std::string RandomRequestId();

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_REQUEST_ID_H_
