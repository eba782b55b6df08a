// std::fill for std::vector<bool>, which vector_for_clang.h must leave undefined: emitted here with
// the original <vector>, by taking its address.
#include <vector>

namespace stylex {

using FillBits = void(std::_Bit_iterator, std::_Bit_iterator, const bool&);
FillBits* const volatile kFillBits = &std::__fill_a1;

}  // namespace stylex
