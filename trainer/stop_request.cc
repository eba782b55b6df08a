#include "trainer/stop_request.h"

#include <csignal>

namespace stylex {
namespace {

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

}  // namespace

StopRequest::StopRequest() {
  stop_requested = 0;
  old_term_ = std::signal(SIGTERM, RequestStop);
  old_int_ = std::signal(SIGINT, RequestStop);
}

StopRequest::~StopRequest() {
  std::signal(SIGTERM, old_term_);
  std::signal(SIGINT, old_int_);
}

bool StopRequest::requested() const { return stop_requested != 0; }

}  // namespace stylex
