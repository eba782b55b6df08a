// Two macros for passing absl::Status errors on to the caller. (The Abseil of Debian 12 has
// neither.)
//
//   absl::StatusOr<Foo> MakeFoo(...) {
//     STYLEX_RETURN_IF_ERROR(Check(...));
//     STYLEX_ASSIGN_OR_RETURN(Bar bar, MakeBar(...));
//     ...
//   }
#ifndef STYLEX_BASE_STATUS_MACROS_H_
#define STYLEX_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define STYLEX_RETURN_IF_ERROR(expr)                                  \
  do {                                                                \
    if (::absl::Status stylex_status = (expr); !stylex_status.ok()) { \
      return stylex_status;                                           \
    }                                                                 \
  } while (false)

#define STYLEX_STATUS_CONCAT_INNER(a, b) a##b
#define STYLEX_STATUS_CONCAT(a, b) STYLEX_STATUS_CONCAT_INNER(a, b)

// `lhs` may declare a variable. Expands to several statements: use braces around it.
#define STYLEX_ASSIGN_OR_RETURN(lhs, expr) \
  STYLEX_ASSIGN_OR_RETURN_IMPL(STYLEX_STATUS_CONCAT(stylex_statusor_, __LINE__), lhs, expr)

#define STYLEX_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr) \
  auto statusor = (expr);                                 \
  if (!statusor.ok()) {                                   \
    return std::move(statusor).status();                  \
  }                                                       \
  lhs = std::move(statusor).value()

#endif  // STYLEX_BASE_STATUS_MACROS_H_
