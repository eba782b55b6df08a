// Reduces the many steps of a search to a few progress messages.
#ifndef STYLEX_SERVER_HANDLERS_SEARCH_PROGRESS_H_
#define STYLEX_SERVER_HANDLERS_SEARCH_PROGRESS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"
#include "server/rpc/stream_call.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// For one call, used only by its worker. The total grows if the search is longer than expected.
// Reports at once, then every kInterval. The time left is estimated from the search's own steps,
// once there are enough of them: reading images and waiting for the device take another time.
class SearchProgressReporter {
 public:
  static constexpr absl::Duration kInterval = absl::Milliseconds(250);

  // Tells `sink` at once, later at most every kInterval. Both must outlive this.
  SearchProgressReporter(const Clock* clock, StreamSink<v1::FindAttributesResponse>* sink,
                         int64_t expected_total);

  // Sets the expected total.
  void Expect(int64_t total) { expected_total_ = total; }
  // Steps done so far, and the total as far as it is known.
  void Update(int64_t done, int64_t total);

 private:
  void Tell();

  const Clock* clock_;
  StreamSink<v1::FindAttributesResponse>* sink_;
  absl::Time last_told_ = absl::InfinitePast();
  int64_t expected_total_;
  int64_t done_ = 0;
  // When the search had done its first steps, and how many.
  absl::Time first_steps_at_;
  int64_t first_steps_ = 0;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_HANDLERS_SEARCH_PROGRESS_H_
