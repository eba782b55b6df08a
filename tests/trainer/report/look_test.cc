#include "trainer/report/look.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/temporary_folder.h"
#include "tests/trainer/report/small_run.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LookTest : public testing::Test {
 protected:
  const TemporaryFolder folder_;
};

TEST_F(LookTest, FactsComeBack) {
  WriteSheet(GreyRows(4, 2, 64), LookPath(folder_.path(), 500));
  WriteSheet(GreyRows(2, 1, 64, 100), LookPath(folder_.path(), 500, "-worst"));
  const LookFacts facts = {{Looked("a.png", 0.1, "healthy"), Looked("b.png", 0.2, "sick")},
                           {Looked("c\xFF.png", 0.9, "sick")}};
  ASSERT_EQ(WriteLookFacts(facts, folder_.path(), 500), absl::OkStatus());
  const Look look = ReadLook(folder_.path(), 500, /*worst=*/true).value();
  EXPECT_EQ(look.images, 500);
  EXPECT_EQ(look.pictures, GreyRows(4, 2, 64));
  EXPECT_EQ(look.worst, GreyRows(2, 1, 64, 100));
  ASSERT_TRUE(look.facts.has_value());
  ASSERT_EQ(look.facts->shown.size(), 2u);
  const LookedPhotograph& second = look.facts->shown[1];
  EXPECT_EQ(second.name, "b.png");
  EXPECT_EQ(second.l1, 0.2);
  EXPECT_EQ(second.photograph.label, "healthy");
  EXPECT_EQ(second.photograph.probability, 0.9);
  EXPECT_EQ(second.reconstruction.label, "sick");
  EXPECT_EQ(second.runner_up, "sick");
  EXPECT_EQ(second.drawn_otherwise.probability, 0.7);
  EXPECT_THAT(look.facts->worst.at(0).name, HasSubstr(".png"));
  EXPECT_THAT(ReadLook(folder_.path(), 500, /*worst=*/false).value().worst, IsEmpty());
}

TEST_F(LookTest, OlderRunsHavePicturesAlone) {
  WriteSheet(GreyRows(4, 2, 64), LookPath(folder_.path(), 500));
  for (const char* json : {"", "{", "{\"shown\": [{}], \"worst\": []}", "[]"}) {
    std::ofstream(LookPath(folder_.path(), 500, "", ".json")) << json;
    const Look look = ReadLook(folder_.path(), 500, true).value();
    EXPECT_FALSE(look.facts.has_value()) << json;
    EXPECT_THAT(look.worst, IsEmpty());
  }
}

TEST_F(LookTest, LooksAreFoundInOrder) {
  EXPECT_THAT(LooksIn(folder_.path()), IsEmpty());
  for (const int images : {20000, 500, 1000}) {
    WriteSheet(GreyRows(4, 1, 64), LookPath(folder_.path(), images));
  }
  WriteSheet(GreyRows(2, 1, 64), LookPath(folder_.path(), 500, "-worst"));
  std::ofstream(folder_ / "samples/notes.png") << "";
  EXPECT_THAT(LooksIn(folder_.path()), ElementsAre(500, 1000, 20000));
}

TEST_F(LookTest, ASheetThatCannotBeReadIsNamed) {
  std::filesystem::create_directories(folder_ / "samples");
  std::ofstream(LookPath(folder_.path(), 500)) << "no picture";
  EXPECT_THAT(ReadLook(folder_.path(), 500, true).status().message(),
              HasSubstr("samples/000000500.png: "));
  EXPECT_THAT(ReadLook(folder_.path(), 600, true).status().message(),
              HasSubstr("samples/000000600.png"));
}

}  // namespace
}  // namespace stylex
