// Checks that text is valid UTF-8, as messages and JSON files need it.
#ifndef STYLEX_TRAINER_DATA_UTF8_H_
#define STYLEX_TRAINER_DATA_UTF8_H_

#include <string>

namespace stylex {

bool IsUtf8(const std::string& text);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_UTF8_H_
