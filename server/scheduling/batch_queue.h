// What waits for a shared pass through a network, and which of it goes next.
//
// Passes of one kind (one network of one model) can be computed together. A kind is due once it has
// `max_batch` tickets, or once its oldest has waited `max_delay`; of the kinds that are due the one
// with the oldest ticket goes first, so that models share a device in the order of their requests.
// A plain value that knows no threads and reads no clock; its owner guards it.
#ifndef STYLEX_SERVER_SCHEDULING_BATCH_QUEUE_H_
#define STYLEX_SERVER_SCHEDULING_BATCH_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "absl/time/time.h"

namespace stylex {

class BatchedPass;

// One request's share of a pass.
struct BatchTicket {
  BatchedPass* pass = nullptr;   // the kind
  void* item = nullptr;          // what `pass` works on
  std::function<bool()> wanted;  // asked when a batch is formed: false drops the ticket
  absl::Time queued;
};

class BatchQueue {
 public:
  struct Limits {
    size_t max_batch = 8;
    absl::Duration max_delay = absl::ZeroDuration();
  };

  explicit BatchQueue(const Limits& limits) : limits_(limits) {}

  // `ticket` stays the caller's and must live until Take gave it back; `queued` is set.
  void Push(BatchTicket* ticket);
  size_t size() const { return tickets_.size(); }

  // When the next batch is due; the infinite future when nothing waits.
  absl::Time DueAt() const;

  struct Batch {
    std::vector<BatchTicket*> tickets;   // all of one kind, oldest first; empty when none is due
    std::vector<BatchTicket*> unwanted;  // of any kind; out of the queue as well
  };
  Batch Take(absl::Time now);

 private:
  // When `pass`, whose oldest ticket stands at `oldest`, is due.
  absl::Time DueAt(std::deque<BatchTicket*>::const_iterator oldest) const;

  const Limits limits_;
  std::deque<BatchTicket*> tickets_;  // oldest first
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_BATCH_QUEUE_H_
