// Raw HTTP to a port of this machine, as no proper client sends it.
#ifndef STYLEX_TESTS_SERVER_HTTP_HTTP_CLIENT_H_
#define STYLEX_TESTS_SERVER_HTTP_HTTP_CLIENT_H_

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

inline void SendText(int client, const std::string& text) {
  EXPECT_EQ(send(client, text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

// All that comes until the other end closes.
inline std::string ReadToEnd(int client) {
  std::string answer;
  char buffer[4096];
  for (ssize_t count; (count = recv(client, buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(count));
  }
  return answer;
}

// Returns the complete answer to `request`.
inline std::string AnswerTo(int port, const std::string& request) {
  const int client = ConnectTo(port);
  SendText(client, request);
  const std::string answer = ReadToEnd(client);
  close(client);
  return answer;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_HTTP_HTTP_CLIENT_H_
