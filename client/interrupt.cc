#include "client/interrupt.h"

#include <unistd.h>

#include <stop_token>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr char kSignalPayload[] = "stylex.interrupted_by";
constexpr int kExitCodeOfSignals = 128;

}  // namespace

Interrupt::Interrupt(const std::vector<int>& signals, std::function<void()> stop, bool patient) {
  sigemptyset(&signals_);
  for (const int number : signals) {
    sigaddset(&signals_, number);
  }
  pthread_sigmask(SIG_BLOCK, &signals_, &old_mask_);
  waiter_ = std::jthread([this, stop = std::move(stop), patient](const std::stop_token& ended) {
    constexpr timespec kPollInterval = {.tv_sec = 0, .tv_nsec = 50'000'000};
    while (!ended.stop_requested()) {
      const int number = sigtimedwait(&signals_, nullptr, &kPollInterval);
      if (number <= 0) {
        continue;
      }
      if (patient && signal_ != 0) {
        _exit(kExitCodeOfSignals + number);
      }
      signal_ = number;
      stop();
    }
  });
}

Interrupt::~Interrupt() {
  waiter_.request_stop();
  waiter_.join();
  pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
}

absl::Status InterruptedBy(int signal) {
  absl::Status status = absl::CancelledError("interrupted");
  status.SetPayload(kSignalPayload, absl::Cord(absl::StrCat(signal)));
  return status;
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) {
    return 0;
  }
  const auto payload = status.GetPayload(kSignalPayload);
  int signal = 0;
  return payload && absl::SimpleAtoi(std::string(*payload), &signal) ? kExitCodeOfSignals + signal
                                                                     : 1;
}

void RunningCalls::CancelAll() {
  const MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* const context : contexts_) {
    context->TryCancel();
  }
}

RunningCalls::Call::Call(RunningCalls* calls, grpc::ClientContext* context)
    : calls_(*calls), context_(context) {
  const MutexLock lock(&calls_.mutex_);
  calls_.contexts_.insert(context);
  if (calls_.cancelled_) {
    context->TryCancel();
  }
}

RunningCalls::Call::~Call() {
  const MutexLock lock(&calls_.mutex_);
  calls_.contexts_.erase(context_);
}

}  // namespace stylex
