// A stylex-server that runs as a process of its own, and its clients.
#ifndef STYLEX_TESTS_E2E_SERVER_PROCESS_H_
#define STYLEX_TESTS_E2E_SERVER_PROCESS_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "stylex/v1/explanation.grpc.pb.h"
#include "tests/e2e/tiny_checkpoint.h"

namespace stylex {

class ServerProcess {
 public:
  // Returns when it said where it listens: on a free port, unless `flags` have another.
  explicit ServerProcess(const std::string& models, const std::vector<std::string>& flags = {});
  // Kills it if it still runs.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }
  // Of the other ports that it told of: "health", "metrics".
  const std::string& address(const std::string& port) const { return other_addresses_.at(port); }
  std::shared_ptr<grpc::Channel> NewChannel() const;
  v1::ExplanationService::Stub& stub() { return *stub_; }

  // Waits, by a health watch, until the loading is through ("startup" is SERVING).
  void AwaitLoaded();
  // What health says of a name: SERVING, NOT_SERVING or, for an unknown one, SERVICE_UNKNOWN.
  grpc::health::v1::HealthCheckResponse::ServingStatus Health(const std::string& name);

  // What it holds of the machine's memory.
  int64_t ResidentKib() const;
  void Signal(int number) const;
  // Waits for the end; its exit code, or -signal.
  int Wait();
  // All that it logged so far.
  std::string Log() const;
  // Waits for a line of the log that holds `part`, and returns it; "" if none comes.
  std::string AwaitLogLine(const std::string& part) const;

 private:
  TemporaryFolder folder_;
  pid_t pid_ = 0;
  std::string address_;
  std::map<std::string, std::string> other_addresses_;
  std::unique_ptr<v1::ExplanationService::Stub> stub_;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_SERVER_PROCESS_H_
