// Included first, by the compiler's command line, where clang compiles LibTorch 1.13: clang
// instantiates std::vector's constexpr members where LibTorch only declares what they hold, and so
// refuses it as C++20. Here they are not constexpr; std::fill for std::vector<bool>, which <string>
// declares constexpr, comes from fill_bits.cc.
#ifndef STYLEX_TESTS_FUZZ_VECTOR_FOR_CLANG_H_
#define STYLEX_TESTS_FUZZ_VECTOR_FOR_CLANG_H_

#include <string>

#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#define __fill_a1 __fill_bits
#include <vector>
#undef __fill_a1
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr

#endif  // STYLEX_TESTS_FUZZ_VECTOR_FOR_CLANG_H_
