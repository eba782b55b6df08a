// A server-streaming call: a worker hands messages over and goes on; they are written one at a
// time.
#ifndef STYLEX_SERVER_RPC_STREAM_CALL_H_
#define STYLEX_SERVER_RPC_STREAM_CALL_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "server/rpc/cancellation.h"

namespace stylex {

// Where a handler's messages go. Neither call waits for the client.
template <class Response>
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  // Sent after all that were handed over before.
  virtual void Write(Response response) = 0;
  // Sent before the next Write unless a newer one comes first: for progress, of which a slow client
  // only needs the newest.
  virtual void WriteLatest(Response response) = 0;
};

// Keeps itself alive until gRPC is done with it; the worker's share keeps it alive longer. Messages
// that a slow client has not taken wait in memory: handlers bound their number. Thread-safe.
template <class Response>
class StreamCall : public grpc::ServerWriteReactor<Response>, public StreamSink<Response> {
 public:
  // `cancellation` is told when the client goes away.
  static std::shared_ptr<StreamCall> Make(std::shared_ptr<Cancellation> cancellation) {
    std::shared_ptr<StreamCall> call(new StreamCall(std::move(cancellation)));
    call->self_ = call;
    return call;
  }

  void Write(Response response) override {
    MutexLock lock(&mutex_);
    queued_bytes_ += static_cast<int64_t>(response.ByteSizeLong());
    queue_.push_back(std::move(response));
    WriteNext();
  }

  void WriteLatest(Response response) override {
    MutexLock lock(&mutex_);
    latest_ = std::move(response);
    WriteNext();
  }

  // Called once. A good status goes out after the messages that wait, an error instead of them.
  void End(const grpc::Status& status) {
    MutexLock lock(&mutex_);
    status_ = status;
    if (!status.ok()) {
      queue_.clear();
      latest_.reset();
    }
    WriteNext();
  }

  // Of all messages that were handed over by Write.
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
  explicit StreamCall(std::shared_ptr<Cancellation> cancellation)
      : cancellation_(std::move(cancellation)) {}

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
      current_ = std::move(queue_.front());
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
  std::shared_ptr<StreamCall> self_;
  Mutex mutex_;
  std::deque<Response> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<Response> latest_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> status_ ABSL_GUARDED_BY(mutex_);
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Response current_;  // the one being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_STREAM_CALL_H_
