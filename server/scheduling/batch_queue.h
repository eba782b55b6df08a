// The requests that wait for a shared pass through a network, and which batch is next.
//
// Passes of one kind (one network of one model) can be computed together. A kind is due once it has
// `max_batch` tickets, or once its oldest has waited `max_delay`; of the kinds that are due, the
// one with the oldest ticket goes first, so that models share a device in the order of their
// requests. A plain value without threads or clock; its owner must synchronise access.
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
  void* item = nullptr;          // the input and output of `pass`
  std::function<bool()> wanted;  // called when a batch is formed: false drops the ticket
  absl::Time queued;
};

class BatchQueue {
 public:
  struct Limits {
    size_t max_batch = 8;
    absl::Duration max_delay = absl::ZeroDuration();
  };

  explicit BatchQueue(const Limits& limits) : limits_(limits) {}

  // Sets `queued`. The caller keeps ownership of `ticket`, which must live until Take has returned
  // it.
  void Push(BatchTicket* ticket);
  // Tickets of all kinds.
  size_t size() const { return tickets_.size(); }

  // When the next batch is due; the infinite future when the queue is empty.
  absl::Time DueAt() const;

  struct Batch {
    std::vector<BatchTicket*> tickets;   // all of one kind, oldest first; empty when none is due
    std::vector<BatchTicket*> unwanted;  // of any kind; removed from the queue too
  };
  // The batch that is due at `now`, empty if none is; removes its tickets.
  // If there is no memory for the batch, throws and leaves every ticket in the queue.
  Batch Take(absl::Time now);

 private:
  // When the pass of the ticket at `oldest`, its oldest one before `end`, is due.
  absl::Time DueAt(std::deque<BatchTicket*>::const_iterator oldest,
                   std::deque<BatchTicket*>::const_iterator end) const;

  const Limits limits_;
  std::deque<BatchTicket*> tickets_;  // oldest first
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_BATCH_QUEUE_H_
