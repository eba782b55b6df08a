// A server-streaming call: workers queue messages without waiting; they are written one at a time.
#ifndef STYLEX_SERVER_RPC_STREAM_CALL_H_
#define STYLEX_SERVER_RPC_STREAM_CALL_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "server/rpc/cancellation.h"
#include "server/scheduling/memory_budget.h"

namespace stylex {

// Receives a handler's messages. Neither function waits for the client.
template <class Response>
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  // Sends a message after all earlier ones.
  virtual void Write(Response response) = 0;
  // Sends a message before the next Write unless a newer one replaces it: for progress, of which a
  // slow client needs only the newest.
  virtual void WriteLatest(Response response) = 0;
};

// Keeps itself alive until gRPC has finished with it; the worker's reference may extend this.
// Messages for a slow client wait in memory, each with its share of a budget: where that is used
// up, the call is cancelled, and what it sends from then on is dropped. Thread-safe.
template <class Response>
class StreamCall : public grpc::ServerWriteReactor<Response>, public StreamSink<Response> {
 public:
  // `cancellation` is notified when the client disconnects. `memory` is for messages that wait
  // (null: unbounded), and outlives the call.
  static std::shared_ptr<StreamCall> Make(std::shared_ptr<Cancellation> cancellation,
                                          MemoryBudget* memory = nullptr) {
    std::shared_ptr<StreamCall> call(new StreamCall(std::move(cancellation), memory));
    call->self_ = call;
    return call;
  }

  void Write(Response response) override {
    MutexLock lock(&mutex_);
    const auto bytes = static_cast<int64_t>(response.ByteSizeLong());
    queued_bytes_ += bytes;
    std::optional<MemoryBudget::Share> share = MemoryBudget::Share();
    if (!queue_.empty() && memory_ != nullptr) {  // one may always be on its way, and one wait
      share = memory_->TryTake(bytes);
    }
    if (full_ || !share.has_value()) {
      full_ = true;
      cancellation_->Cancel();
      return;
    }
    queue_.push_back({std::move(response), *std::move(share)});
    WriteNext();
  }

  void WriteLatest(Response response) override {
    MutexLock lock(&mutex_);
    latest_ = std::move(response);
    WriteNext();
  }

  // Call once. An OK status is sent after the queued messages, an error instead of them.
  void End(const grpc::Status& status) {
    MutexLock lock(&mutex_);
    status_ = status;
    if (!status.ok()) {
      queue_.clear();
      latest_.reset();
    }
    WriteNext();
  }

  // Whether a message found no memory to wait in: the call is to end with an error.
  bool full() {
    MutexLock lock(&mutex_);
    return full_;
  }

  // Total size of the messages passed to Write.
  int64_t queued_bytes() {
    MutexLock lock(&mutex_);
    return queued_bytes_;
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      cancellation_->Cancel();
    }
    MutexLock lock(&mutex_);
    writing_ = false;
    broken_ = broken_ || !ok;
    WriteNext();
  }
  void OnCancel() override { cancellation_->Cancel(); }
  void OnDone() override { const std::shared_ptr<StreamCall> last = std::move(self_); }

 private:
  struct Queued {
    Response message;
    MemoryBudget::Share share;
  };

  StreamCall(std::shared_ptr<Cancellation> cancellation, MemoryBudget* memory)
      : cancellation_(std::move(cancellation)), memory_(memory) {}

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) {
      return;
    }
    if (broken_) {
      queue_.clear();
      latest_.reset();
    }
    if (latest_.has_value()) {
      current_ = *std::exchange(latest_, std::nullopt);
    } else if (!queue_.empty()) {
      current_ = std::move(queue_.front().message);
      queue_.pop_front();
    } else {
      if (status_.has_value()) {
        finished_ = true;
        this->Finish(*status_);
      }
      return;
    }
    writing_ = true;
    this->StartWrite(&current_);
  }

  const std::shared_ptr<Cancellation> cancellation_;
  MemoryBudget* const memory_;
  std::shared_ptr<StreamCall> self_;
  Mutex mutex_;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<Response> latest_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> status_ ABSL_GUARDED_BY(mutex_);
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Response current_;  // being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_STREAM_CALL_H_
