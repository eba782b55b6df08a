// Reduces the many steps of a search to a few progress messages.
#ifndef STYLEX_SERVER_HANDLERS_SEARCH_PROGRESS_H_
#define STYLEX_SERVER_HANDLERS_SEARCH_PROGRESS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"
#include "server/rpc/stream_call.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// For one call, used only by its worker. Phases follow each other, each with its own steps; the
// total grows if a phase is longer than expected. Reports at once, then every kInterval. The time
// left is estimated from the steps of the running phase alone, once there are enough of them:
// reading images, waiting for the device and other phases take another time.
class SearchProgressReporter {
 public:
  static constexpr absl::Duration kInterval = absl::Milliseconds(250);

  SearchProgressReporter(const Clock* clock, StreamSink<v1::FindAttributesResponse>* sink,
                         int64_t expected_total);

  // Sets the expected total.
  void Expect(int64_t total) { expected_total_ = total; }
  // `done` and `total` of the running phase.
  void Update(int64_t done, int64_t total);
  // Starts the next phase, whose steps are added to those done.
  void NextPhase();
  // Steps done in all phases.
  int64_t done() const { return done_before_ + phase_done_; }

 private:
  void Tell();

  const Clock* clock_;
  StreamSink<v1::FindAttributesResponse>* sink_;
  absl::Time last_told_ = absl::InfinitePast();
  int64_t expected_total_;
  int64_t done_before_ = 0;
  int64_t phase_done_ = 0;
  // When the running phase had done its first steps, and how many.
  absl::Time first_steps_at_;
  int64_t first_steps_ = 0;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_HANDLERS_SEARCH_PROGRESS_H_
