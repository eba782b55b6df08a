#include "trainer/data/utf8.h"

#include <nlohmann/json.hpp>

namespace stylex {

bool IsUtf8(const std::string& text) try {
  nlohmann::json(text).dump();
  return true;
} catch (const nlohmann::json::exception&) {
  return false;
}

}  // namespace stylex
