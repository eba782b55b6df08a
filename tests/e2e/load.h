// Clients that call without pause, and the outcomes of their calls.
#ifndef STYLEX_TESTS_E2E_LOAD_H_
#define STYLEX_TESTS_E2E_LOAD_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "stylex/v1/explanation.grpc.pb.h"

namespace stylex {

// Classify, Encode and Reconstruct in turn, from several threads over one channel.
class Load {
 public:
  Load(std::shared_ptr<grpc::Channel> channel, int clients);
  ~Load() { Stop(); }

  // Waits until `count` more calls have succeeded.
  void AwaitCalls(int count) const;
  // Waits until no more calls end because all are waiting for an answer.
  void AwaitStandstill() const;
  // Returns once the running calls have ended.
  void Stop();
  int succeeded() const { return succeeded_; }
  std::vector<grpc::Status> failures() const;

 private:
  void Run();

  const std::unique_ptr<v1::ExplanationService::Stub> stub_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> succeeded_ = 0;
  mutable Mutex mutex_;
  std::vector<grpc::Status> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> clients_;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_LOAD_H_
