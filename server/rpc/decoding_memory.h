// The part of the server's memory in which calls decode images.
#ifndef STYLEX_SERVER_RPC_DECODING_MEMORY_H_
#define STYLEX_SERVER_RPC_DECODING_MEMORY_H_

#include "image/codec.h"
#include "server/scheduling/memory_budget.h"

namespace stylex {

// Gives each call its share in turn. A call that is cancelled, or whose deadline passes, while it
// waits gets CANCELLED; a request above the whole budget gets RESOURCE_EXHAUSTED at once.
class DecodingMemory : public MemoryReserve {
 public:
  explicit DecodingMemory(int64_t bytes) : budget_(bytes) {}

  // For the call of this thread.
  absl::StatusOr<std::shared_ptr<const void>> Reserve(int64_t bytes) override;

 private:
  MemoryBudget budget_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_DECODING_MEMORY_H_
