#include "server/handlers/search_progress.h"

#include <algorithm>
#include <utility>

namespace stylex {
namespace {

// Fewer steps tell nothing about the others.
constexpr int64_t kEnoughSteps = 10;

}  // namespace

SearchProgressReporter::SearchProgressReporter(const Clock* clock,
                                               StreamSink<v1::FindAttributesResponse>* sink,
                                               int64_t expected_total)
    : clock_(clock), sink_(sink), expected_total_(expected_total) {
  Tell();
}

void SearchProgressReporter::Update(int64_t done, int64_t total) {
  if (first_steps_ == 0 && done > 0) {
    first_steps_ = done;
    first_steps_at_ = clock_->Now();
  }
  done_ = done;
  expected_total_ = std::max(expected_total_, total);
  if (clock_->Now() - last_told_ >= kInterval) {
    Tell();
  }
}

void SearchProgressReporter::Tell() {
  last_told_ = clock_->Now();
  v1::FindAttributesResponse response;
  v1::SearchProgress* progress = response.mutable_progress();
  progress->set_done(done_);
  progress->set_total(expected_total_);
  if (const int64_t steps = done_ - first_steps_; steps >= kEnoughSteps) {
    const double elapsed_s = absl::ToDoubleSeconds(last_told_ - first_steps_at_);
    progress->set_seconds_left(elapsed_s / static_cast<double>(steps) *
                               static_cast<double>(expected_total_ - done_));
  }
  sink_->WriteLatest(std::move(response));
}

}  // namespace stylex
