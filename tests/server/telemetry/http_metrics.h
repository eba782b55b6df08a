// An HTTP client that reads metrics from a local server.
#ifndef STYLEX_TESTS_SERVER_TELEMETRY_HTTP_METRICS_H_
#define STYLEX_TESTS_SERVER_TELEMETRY_HTTP_METRICS_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace stylex {

inline int ConnectTo(int port) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return client;
}

// Returns the complete answer to `request`.
inline std::string ReadMetrics(int port,
                               const std::string& request = "GET /metrics HTTP/1.1\r\n\r\n") {
  const int client = ConnectTo(port);
  EXPECT_EQ(send(client, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t count; (count = recv(client, buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(count));
  }
  close(client);
  return answer;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_TELEMETRY_HTTP_METRICS_H_
