#include "server/rpc/decoding_memory.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/heap.h"
#include "server/rpc/cancellation.h"

namespace stylex {
namespace {

constexpr int64_t kMib = 1 << 20;
// From this size on freed memory is worth the time that returning it takes.
constexpr int64_t kLarge = 16 * kMib;

struct Held {
  Held(MemoryBudget::Share taken, int64_t size) : share(std::move(taken)), bytes(size) {}
  ~Held() {
    if (bytes >= kLarge) {
      ReturnFreedMemory();
    }
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  MemoryBudget::Share share;
  int64_t bytes;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const void>> DecodingMemory::Reserve(int64_t bytes) {
  if (!budget_.Fits(bytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "decoding it takes ", bytes / kMib + 1, " MiB; the server has ", budget_.bytes() / kMib,
        " MiB for this (half of --memory-budget-mib); send a smaller image; a baseline JPEG takes "
        "the least"));
  }
  const Cancellation* const call = Cancellation::OfThisThread();
  std::optional<MemoryBudget::Share> share =
      budget_.Take(bytes, [call] { return call == nullptr || !call->stopped(); });
  if (!share.has_value()) {
    return absl::CancelledError("the call ended while it waited for memory");
  }
  return std::make_shared<const Held>(std::move(*share), bytes);
}

}  // namespace stylex
