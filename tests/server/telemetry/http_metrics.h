// Reads metrics from a local server.
#ifndef STYLEX_TESTS_SERVER_TELEMETRY_HTTP_METRICS_H_
#define STYLEX_TESTS_SERVER_TELEMETRY_HTTP_METRICS_H_

#include <string>

#include "tests/server/http/http_client.h"

namespace stylex {

// Returns the complete answer to `request`.
inline std::string ReadMetrics(int port,
                               const std::string& request = "GET /metrics HTTP/1.1\r\n\r\n") {
  return AnswerTo(port, request);
}

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_TELEMETRY_HTTP_METRICS_H_
