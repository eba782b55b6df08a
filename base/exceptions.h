// Turns exceptions of libraries into absl::Status, at the top of a thread.
#ifndef STYLEX_BASE_EXCEPTIONS_H_
#define STYLEX_BASE_EXCEPTIONS_H_

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"

namespace stylex {

// What went wrong, on one line: the first of the message or, of an error in a TorchScript, the
// last, where the cause stands behind the interpreter's traceback.
std::string CauseOf(const std::exception& error);

// In a catch block: RESOURCE_EXHAUSTED for std::bad_alloc, else INTERNAL, with the cause; without a
// text where there is no memory for one.
absl::Status StatusOfException() noexcept;

// What `work` returns, an absl::Status or absl::StatusOr, or StatusOfException when it throws.
template <typename Work>
std::invoke_result_t<Work> WithoutExceptions(Work&& work) noexcept {
  try {
    return std::forward<Work>(work)();
  } catch (...) {
    return StatusOfException();
  }
}

}  // namespace stylex

#endif  // STYLEX_BASE_EXCEPTIONS_H_
