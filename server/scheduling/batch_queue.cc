#include "server/scheduling/batch_queue.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace stylex {

void BatchQueue::Push(BatchTicket* ticket) { tickets_.push_back(ticket); }

absl::Time BatchQueue::DueAt(std::deque<BatchTicket*>::const_iterator oldest) const {
  const auto same_pass = [pass = (*oldest)->pass](const BatchTicket* ticket) {
    return ticket->pass == pass;
  };
  const auto waiting = std::count_if(oldest, tickets_.end(), same_pass);
  return static_cast<size_t>(waiting) >= limits_.max_batch ? absl::InfinitePast()
                                                           : (*oldest)->queued + limits_.max_delay;
}

absl::Time BatchQueue::DueAt() const {
  absl::Time due = absl::InfiniteFuture();
  std::set<const BatchedPass*> seen;
  for (auto it = tickets_.begin(); it != tickets_.end(); ++it) {
    if (seen.insert((*it)->pass).second) {
      due = std::min(due, DueAt(it));
    }
  }
  return due;
}

BatchQueue::Batch BatchQueue::Take(absl::Time now) {
  Batch batch;
  const auto wanted_end = std::stable_partition(
      tickets_.begin(), tickets_.end(), [](const BatchTicket* ticket) { return ticket->wanted(); });
  batch.unwanted.assign(wanted_end, tickets_.end());
  tickets_.erase(wanted_end, tickets_.end());

  std::set<const BatchedPass*> seen;
  auto head = tickets_.begin();
  while (head != tickets_.end() && !(seen.insert((*head)->pass).second && DueAt(head) <= now)) {
    ++head;
  }
  if (head == tickets_.end()) {
    return batch;
  }
  const BatchedPass* const pass = (*head)->pass;
  std::deque<BatchTicket*> rest;
  for (BatchTicket* ticket : tickets_) {
    if (ticket->pass == pass && batch.tickets.size() < limits_.max_batch) {
      batch.tickets.push_back(ticket);
    } else {
      rest.push_back(ticket);
    }
  }
  tickets_.swap(rest);
  return batch;
}

}  // namespace stylex
