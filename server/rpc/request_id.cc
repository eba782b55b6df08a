#include "server/rpc/request_id.h"

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"

namespace stylex {

std::string RandomRequestId() {
  static thread_local absl::BitGen generator;
  return absl::StrCat(absl::Hex(absl::Uniform<uint64_t>(generator), absl::kZeroPad16));
}

}  // namespace stylex
