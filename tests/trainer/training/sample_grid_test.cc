#include "trainer/training/sample_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "base/file.h"
#include "image/codec.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

class SampleGridTest : public testing::Test {
 protected:
  Bitmap Draw(const std::vector<torch::Tensor>& rows) const {
    const std::string path = folder_ / "grid.png";
    EXPECT_TRUE(WriteSampleGrid(rows, path).ok());
    return DecodeImage(ReadFile(path).value()).value();
  }

  TemporaryFolder folder_;
};

// [N, C, side, side]: image n is of one grey, levels[n] of 255.
torch::Tensor Row(const std::vector<int>& levels, int64_t channels, int64_t side) {
  std::vector<torch::Tensor> images;
  for (const int level : levels) {
    images.push_back(torch::full({channels, side, side}, level / 127.5 - 1));
  }
  return torch::stack(images);
}

TEST_F(SampleGridTest, SmallImagesAreDoubledWithGapsBetween) {
  const Bitmap grid = Draw({Row({10, 20, 30}, 1, 8), Row({40, 50}, 3, 8)});
  EXPECT_EQ(grid.width, 3 * (16 + 2) + 2);
  EXPECT_EQ(grid.height, 2 * (16 + 2) + 2);
  for (const auto& [row, levels] :
       {std::pair<int, std::vector<int>>{0, {10, 20, 30}}, {1, {40, 50, 255}}}) {
    for (int column = 0; column < 3; ++column) {
      const int left = 2 + column * 18, top = 2 + row * 18;
      for (const auto& [x, y] : {std::pair{left, top}, {left + 15, top + 15}}) {
        for (int c = 0; c < 3; ++c) {
          EXPECT_EQ(grid.pixel(x, y)[c], levels[static_cast<size_t>(column)])
              << row << " " << column;
        }
      }
      EXPECT_EQ(*grid.pixel(left - 1, top), 255) << "a gap";
      EXPECT_EQ(*grid.pixel(left, top - 1), 255);
    }
  }
}

TEST_F(SampleGridTest, LargeImagesKeepTheirSize) {
  const Bitmap grid = Draw({Row({10, 20}, 3, 64)});
  EXPECT_EQ(grid.width, 2 * (64 + 2) + 2);
  EXPECT_EQ(grid.height, 64 + 4);
  EXPECT_EQ(*grid.pixel(2 + 63, 2 + 63), 10);
  EXPECT_EQ(*grid.pixel(2 + 66, 2), 20);
}

TEST_F(SampleGridTest, ValuesOutsideAreClamped) {
  const Bitmap grid = Draw({torch::full({1, 1, 64, 64}, 9.0), torch::full({1, 1, 64, 64}, -9.0)});
  EXPECT_EQ(*grid.pixel(10, 10), 255);
  EXPECT_EQ(*grid.pixel(10, 66 + 10), 0);
}

TEST_F(SampleGridTest, AFolderThatIsNotThereIsAnError) {
  const absl::Status status = WriteSampleGrid({Row({1}, 1, 8)}, folder_ / "no/grid.png");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("no/grid.png"));
}

}  // namespace
}  // namespace stylex
