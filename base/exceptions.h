// Turns exceptions of libraries into absl::Status, at the top of a thread.
#ifndef STYLEX_BASE_EXCEPTIONS_H_
#define STYLEX_BASE_EXCEPTIONS_H_

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace stylex {

// What went wrong, on one line: the first of the message or, of an error in a TorchScript, the
// last, where the cause stands behind the interpreter's traceback.
std::string CauseOf(const std::exception& error);

// In a catch block: RESOURCE_EXHAUSTED for std::bad_alloc, else INTERNAL, with the cause.
absl::Status StatusOfException();

// The status of `work`, or StatusOfException when it throws.
template <typename Work>
absl::Status WithoutExceptions(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (...) {
    return StatusOfException();
  }
}

}  // namespace stylex

#endif  // STYLEX_BASE_EXCEPTIONS_H_
