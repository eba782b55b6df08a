// Runs the work of every gRPC call on a worker and finishes the call.
//
// A handler provides a `prepare` step, which runs at once on gRPC's thread and may only check the
// request; it returns a Work, which runs on the worker pool of its effort (or at once, if it is
// cheap). Every failure - a bad request, a full queue, cancellation, a deadline, an exception - is
// converted here into one status and one log line. Thread-safe.
#ifndef STYLEX_SERVER_RPC_CALL_RUNNER_H_
#define STYLEX_SERVER_RPC_CALL_RUNNER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/rpc/access_tokens.h"
#include "server/rpc/call_record.h"
#include "server/rpc/cancellation.h"
#include "server/rpc/errors.h"
#include "server/rpc/stream_call.h"
#include "server/scheduling/memory_budget.h"
#include "server/scheduling/worker_pool.h"

namespace stylex {

// The worker pool on which a call's work runs.
enum class Effort {
  kCheap,        // needs no network: runs at once on gRPC's thread
  kInteractive,  // a few passes over one image
  kExplanation,  // many passes over one image
  kBulk,         // a search over many images
};

// The work of one call, returned by its handler.
template <class Output>
struct Work {
  std::function<absl::Status(const Cancellation&, Output*)> run;
  Effort effort = Effort::kInteractive;
};
template <class Response>
using UnaryWork = absl::StatusOr<Work<Response>>;
template <class Response>
using StreamWork = absl::StatusOr<Work<StreamSink<Response>>>;

class CallRunner {
 public:
  struct Options {
    absl::Duration unary_deadline = absl::Seconds(60);  // if the client sets none
    absl::Duration stream_deadline = absl::Seconds(600);
    size_t max_message_bytes = 16 << 20;
    AccessTokens* tokens = nullptr;  // null: no authentication
    std::vector<CallObserver*> observers = {};
    CallAuditor* auditor = nullptr;    // without it calls need not be recorded
    MemoryBudget* requests = nullptr;  // holds the messages of calls; null: unbounded
    MemoryBudget* frames = nullptr;    // holds what streams' clients have not read; likewise
    // Called with the text of every exception.
    std::function<void(const std::string&)> on_exception = [](const std::string&) {};
  };

  struct Pools {
    WorkerPool* interactive = nullptr;
    WorkerPool* explanation = nullptr;
    WorkerPool* bulk = nullptr;
  };

  // Everything pointed to must outlive this object, which must outlive every call.
  CallRunner(Options options, const Pools& pools, const Clock* clock);

  // Runs a call with one answer.
  template <class Response>
  grpc::ServerUnaryReactor* Unary(const char* method, grpc::CallbackServerContext* context,
                                  const google::protobuf::Message& request, Response* response,
                                  absl::FunctionRef<UnaryWork<Response>()> prepare);
  // Runs a call with a stream of answers.
  template <class Response>
  grpc::ServerWriteReactor<Response>* Stream(const char* method,
                                             grpc::CallbackServerContext* context,
                                             const google::protobuf::Message& request,
                                             absl::FunctionRef<StreamWork<Response>()> prepare);

  // From now on new calls are UNAVAILABLE.
  void Refuse() { refusing_ = true; }
  // Stops the work of running calls, which end as UNAVAILABLE.
  void AbandonAll() { abandon_all_ = true; }

 private:
  // One call, unary or streaming; shared by gRPC's reactor and the worker's job.
  struct Call {
    Call(grpc::CallbackServerContext* server_context, const Clock* clock, absl::Time deadline,
         const std::atomic<bool>* abandon_all)
        : context(server_context), cancellation(clock, deadline, abandon_all) {}

    grpc::CallbackServerContext* context;
    CallRecord record;
    std::string client;          // key for fair queueing
    MemoryBudget::Share memory;  // of the request
    absl::Time start;
    Cancellation cancellation;
    std::function<absl::Status()> run;
    std::function<int64_t()> response_bytes;
    // Called once. `finish`, `run` and `response_bytes` form reference cycles with this call, which
    // Finish breaks.
    std::function<void(const grpc::Status&)> finish;
  };
  template <class Response>
  class UnaryReactor;
  template <class Reactor>
  class Refusal;

  // Without a message, as building one allocates.
  static grpc::Status NoMemoryAtAll() { return {grpc::StatusCode::RESOURCE_EXHAUSTED, ""}; }

  // Throws where there is no memory.
  std::shared_ptr<Call> MakeCall(const char* method, grpc::CallbackServerContext* context,
                                 const google::protobuf::Message& request,
                                 absl::Duration default_deadline) const;
  // Whether the call is accepted: not while draining, not without a valid token, ...
  absl::Status Admit(Call* call) const;
  // Its token, if tokens are checked (then it is a valid one), else its address.
  std::string ClientOf(const Call& call) const;
  // Runs `step`; an exception becomes INTERNAL with its text as the message, which only the log
  // shows, or RESOURCE_EXHAUSTED. What a call throws, on gRPC's threads and on the workers', ends
  // here.
  absl::Status Guarded(absl::FunctionRef<absl::Status()> step) const noexcept;
  // Runs or queues the call's work; finishes the call when it can go no further.
  void Start(const std::shared_ptr<Call>& call,
             absl::FunctionRef<absl::StatusOr<Effort>()> prepare) noexcept;
  // An error if the call is not accepted by a queue.
  absl::Status Queue(const std::shared_ptr<Call>& call, Effort effort);
  // Computes and finishes the call.
  void Execute(const std::shared_ptr<Call>& call) const noexcept;
  // Runs the call's work, and records how long it waited and computed.
  absl::Status Compute(Call* call) const;
  // Finishes a call that was not run.
  void Drop(const std::shared_ptr<Call>& call) const noexcept;
  // Ends the call, whatever throws meanwhile; call once.
  void Finish(const std::shared_ptr<Call>& call, const absl::Status& status) const noexcept;
  // Completes the record, tells the observers, and returns what the client is told.
  grpc::Status Report(Call* call, const absl::Status& status) const;

  const Options options_;
  const Pools pools_;
  const Clock* const clock_;
  std::atomic<bool> refusing_ = false;
  std::atomic<bool> abandon_all_ = false;
};

// Of a call for which there is no memory to begin with.
template <class Reactor>
class CallRunner::Refusal : public Reactor {
 public:
  Refusal() { this->Finish(NoMemoryAtAll()); }
  void OnDone() override { delete this; }
};

template <class Response>
class CallRunner::UnaryReactor : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryReactor(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  void OnCancel() override { call_->cancellation.Cancel(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<Call> call_;
};

template <class Response>
grpc::ServerUnaryReactor* CallRunner::Unary(const char* method,
                                            grpc::CallbackServerContext* context,
                                            const google::protobuf::Message& request,
                                            Response* response,
                                            absl::FunctionRef<UnaryWork<Response>()> prepare) {
  std::shared_ptr<Call> call;
  UnaryReactor<Response>* reactor = nullptr;
  try {
    call = MakeCall(method, context, request, options_.unary_deadline);
    call->record.response = response;
    call->response_bytes = [response] { return static_cast<int64_t>(response->ByteSizeLong()); };
    // gRPC keeps reactor, context and response alive until OnDone, i.e. until `finish` was called.
    reactor = new UnaryReactor<Response>(call);
  } catch (const std::exception&) {
    return new Refusal<grpc::ServerUnaryReactor>;
  }
  call->finish = [reactor](const grpc::Status& status) { reactor->Finish(status); };
  Start(call, [&]() -> absl::StatusOr<Effort> {
    UnaryWork<Response> work = prepare();
    if (!work.ok()) {
      return work.status();
    }
    call->run = [run = std::move(work->run), cancellation = &call->cancellation, response] {
      return run(*cancellation, response);
    };
    return work->effort;
  });
  return reactor;
}

template <class Response>
grpc::ServerWriteReactor<Response>* CallRunner::Stream(
    const char* method, grpc::CallbackServerContext* context,
    const google::protobuf::Message& request, absl::FunctionRef<StreamWork<Response>()> prepare) {
  std::shared_ptr<Call> call;
  std::shared_ptr<StreamCall<Response>> stream;
  try {
    call = MakeCall(method, context, request, options_.stream_deadline);
    // An aliasing pointer into `call` keeps the cancellation alive as long as the stream.
    stream = StreamCall<Response>::Make(std::shared_ptr<Cancellation>(call, &call->cancellation),
                                        options_.frames);
    call->response_bytes = [stream] { return stream->queued_bytes(); };
    call->finish = [stream](const grpc::Status& status) { stream->End(status); };
  } catch (const std::exception&) {
    if (stream == nullptr) {
      return new Refusal<grpc::ServerWriteReactor<Response>>;
    }
    call->response_bytes = nullptr;  // a cycle
    stream->End(NoMemoryAtAll());
    return stream.get();
  }
  Start(call, [&]() -> absl::StatusOr<Effort> {
    StreamWork<Response> work = prepare();
    if (!work.ok()) {
      return work.status();
    }
    call->run = [run = std::move(work->run), cancellation = &call->cancellation, stream] {
      const absl::Status status = run(*cancellation, stream.get());
      return stream->full() ? MemoryFullError() : status;
    };
    return work->effort;
  });
  return stream.get();
}

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_CALL_RUNNER_H_
