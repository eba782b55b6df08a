// std::fill for std::vector<bool>, which vector_for_clang.h has to leave undefined: emitted here,
// where <vector> is as ever, because its address is taken.
#include <vector>

namespace stylex {

using FillBits = void(std::_Bit_iterator, std::_Bit_iterator, const bool&);
FillBits* const volatile kFillBits = &std::__fill_a1;

}  // namespace stylex
