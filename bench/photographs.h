// Styles of photographs for the benchmarks.
#ifndef STYLEX_BENCH_PHOTOGRAPHS_H_
#define STYLEX_BENCH_PHOTOGRAPHS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/stylex.h"

namespace stylex {

// The first `count` validation images of a data set (IDX files or class folders), encoded.
absl::StatusOr<StyleVectors> StylesOfPhotographs(const Stylex& model, const std::string& data,
                                                 int64_t count);

}  // namespace stylex

#endif  // STYLEX_BENCH_PHOTOGRAPHS_H_
