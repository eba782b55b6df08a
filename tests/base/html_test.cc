#include "base/html.h"

#include <gtest/gtest.h>

namespace stylex {
namespace {

TEST(EscapeHtmlTest, EscapesEveryCharacterThatHtmlReads) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\">'&amp;"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;");
}

TEST(JsonInScriptTest, NothingEndsTheElement) {
  EXPECT_EQ(JsonInScript("[\"</script>\", \"a & b\"]"),
            "[\"\\u003c/script\\u003e\", \"a \\u0026 b\"]");
}

// Of the empty text, whose SHA-256 is published (FIPS 180-4's examples).
TEST(PolicySourceTest, IsTheHashInBase64) {
  EXPECT_EQ(PolicySource(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
}

}  // namespace
}  // namespace stylex
