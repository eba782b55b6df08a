#include "server/scheduling/batch_queue.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace stylex {

void BatchQueue::Push(BatchTicket* ticket) { tickets_.push_back(ticket); }

absl::Time BatchQueue::DueAt(std::deque<BatchTicket*>::const_iterator oldest,
                             std::deque<BatchTicket*>::const_iterator end) const {
  const auto same_pass = [pass = (*oldest)->pass](const BatchTicket* ticket) {
    return ticket->pass == pass;
  };
  const auto waiting = std::count_if(oldest, end, same_pass);
  return static_cast<size_t>(waiting) >= limits_.max_batch ? absl::InfinitePast()
                                                           : (*oldest)->queued + limits_.max_delay;
}

absl::Time BatchQueue::DueAt() const {
  absl::Time due = absl::InfiniteFuture();
  std::set<const BatchedPass*> seen;
  for (auto it = tickets_.begin(); it != tickets_.end(); ++it) {
    if (seen.insert((*it)->pass).second) {
      due = std::min(due, DueAt(it, tickets_.end()));
    }
  }
  return due;
}

BatchQueue::Batch BatchQueue::Take(absl::Time now) {
  Batch batch;
  const auto wanted_end = std::stable_partition(
      tickets_.begin(), tickets_.end(), [](const BatchTicket* ticket) { return ticket->wanted(); });
  batch.unwanted.assign(wanted_end, tickets_.end());
  std::deque<BatchTicket*> rest(tickets_.begin(), wanted_end);

  std::set<const BatchedPass*> seen;
  auto head = rest.begin();
  while (head != rest.end() &&
         !(seen.insert((*head)->pass).second && DueAt(head, rest.end()) <= now)) {
    ++head;
  }
  if (head != rest.end()) {
    const BatchedPass* const pass = (*head)->pass;
    std::deque<BatchTicket*> others;
    for (BatchTicket* ticket : rest) {
      if (ticket->pass == pass && batch.tickets.size() < limits_.max_batch) {
        batch.tickets.push_back(ticket);
      } else {
        others.push_back(ticket);
      }
    }
    rest.swap(others);
  }
  tickets_.swap(rest);
  return batch;
}

}  // namespace stylex
