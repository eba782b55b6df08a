#include "tests/image/pillow.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace stylex {

bool HavePillow() {
  static const bool have =
      std::system("/usr/bin/python3 -c 'import numpy, PIL.Image' >/dev/null 2>&1") == 0;
  return have;
}

bool RunPillow(const std::vector<std::string>& arguments) {
  std::string command = "/usr/bin/python3 '" STYLEX_SOURCE_DIR "/tests/image/pillow.py'";
  for (const std::string& argument : arguments) {
    command += " '" + argument + "'";
  }
  return std::system(command.c_str()) == 0;
}

std::string MakeTemporaryFolder() {
  std::string folder = testing::TempDir() + "stylex-image-XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr) << folder;
  return folder;
}

std::vector<Bitmap> AskPillow(const std::string& mode, const std::string& requests) {
  const std::string folder = MakeTemporaryFolder();
  EXPECT_TRUE(WriteFileAtomic(folder + "/requests", requests).ok());
  EXPECT_TRUE(RunPillow({mode, folder + "/requests", folder + "/answers"}));
  const absl::StatusOr<std::string> answers = ReadFile(folder + "/answers");
  std::vector<Bitmap> bitmaps;
  if (answers.ok()) {
    std::string_view rest = *answers;
    while (!rest.empty()) {
      bitmaps.push_back(TakeBitmap(&rest));
    }
  }
  std::filesystem::remove_all(folder);
  return bitmaps;
}

void AppendNumber(int number, std::string* out) {
  for (const int shift : {0, 8, 16, 24}) {
    out->push_back(static_cast<char>(number >> shift));
  }
}

void AppendBitmap(const Bitmap& bitmap, std::string* out) {
  AppendNumber(bitmap.width, out);
  AppendNumber(bitmap.height, out);
  AppendNumber(bitmap.channels, out);
  out->append(bitmap.data.begin(), bitmap.data.end());
}

Bitmap TakeBitmap(std::string_view* data) {
  const auto number = [data] {
    int value = 0;
    for (size_t i = 0; i < 4; ++i) {
      value |= static_cast<int>(static_cast<uint8_t>(data->at(i))) << 8 * i;
    }
    data->remove_prefix(4);
    return value;
  };
  const int width = number();
  const int height = number();
  const int channels = number();
  Bitmap bitmap = Bitmap::Make(width, height, channels);
  data->substr(0, bitmap.data.size())
      .copy(reinterpret_cast<char*>(bitmap.data.data()), bitmap.data.size());
  data->remove_prefix(bitmap.data.size());
  return bitmap;
}

}  // namespace stylex
