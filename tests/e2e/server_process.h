// A stylex-server in a separate process, and its clients.
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
  // Returns once the server has printed its address; listens at 127.0.0.1 and a free port unless
  // `flags` contain others. Its stderr is a file that Log returns, or `errors` (a descriptor).
  explicit ServerProcess(const std::string& models, const std::vector<std::string>& flags = {},
                         int errors = -1);
  // Kills the process if it is still running.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& address() const { return address_; }
  // Address of another port that it has printed: "health", "metrics", "web" (a URL).
  const std::string& address(const std::string& port) const { return other_addresses_.at(port); }
  std::shared_ptr<grpc::Channel> NewChannel() const;
  v1::ExplanationService::Stub& stub() { return *stub_; }

  // Waits with a health watch until all models have been loaded ("startup" is SERVING).
  void AwaitLoaded();
  // The health of a name: SERVING, NOT_SERVING or, for an unknown name, SERVICE_UNKNOWN.
  grpc::health::v1::HealthCheckResponse::ServingStatus Health(const std::string& name);

  // Resident memory of the process.
  int64_t ResidentKib() const;
  // The greatest it ever was.
  int64_t PeakResidentKib() const;
  void Signal(int number) const;
  // Waits until it ends; returns its exit code, or -signal.
  int Wait();
  // The log so far.
  std::string Log() const;
  // Waits for a log line that contains `part` and returns it; "" after a timeout.
  std::string AwaitLogLine(const std::string& part) const;

 private:
  int64_t MemoryKib(const std::string& field) const;

  TemporaryFolder folder_;
  pid_t pid_ = 0;
  std::string address_;
  std::map<std::string, std::string> other_addresses_;
  std::unique_ptr<v1::ExplanationService::Stub> stub_;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_SERVER_PROCESS_H_
