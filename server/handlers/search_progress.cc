#include "server/handlers/search_progress.h"

#include <algorithm>
#include <utility>

namespace stylex {

SearchProgressReporter::SearchProgressReporter(const Clock* clock,
                                               StreamSink<v1::FindAttributesResponse>* sink,
                                               int64_t expected_total)
    : clock_(clock), sink_(sink), start_(clock->Now()), expected_total_(expected_total) {
  Tell();
}

void SearchProgressReporter::Update(int64_t done, int64_t total) {
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
  if (done_ > 0) {
    const double elapsed_s = absl::ToDoubleSeconds(last_told_ - start_);
    progress->set_seconds_left(elapsed_s / static_cast<double>(done_) *
                               static_cast<double>(expected_total_ - done_));
  }
  sink_->WriteLatest(std::move(response));
}

}  // namespace stylex
