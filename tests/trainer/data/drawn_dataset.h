// Data sets that tests draw themselves, in a folder that goes away with them.
#ifndef STYLEX_TESTS_TRAINER_DATA_DRAWN_DATASET_H_
#define STYLEX_TESTS_TRAINER_DATA_DRAWN_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "image/bitmap.h"
#include "tests/temporary_folder.h"

namespace stylex {

// Each makes the folders it needs and fails the test when it cannot write.
void WriteBytes(const std::string& path, const std::string& bytes);
void WritePng(const std::string& path, const Bitmap& bitmap);
void WriteJpeg(const std::string& path, const Bitmap& bitmap);
void WriteGzip(const std::string& path, const std::string& bytes);

// An IDX file of bytes: its header says `dimensions`, whatever `values` holds.
std::string IdxBytes(const std::vector<uint32_t>& dimensions, const std::string& values);

// ROOT/{train,val}/{dark,light}/N.png: 16x16 noise around a class's own brightness.
void DrawTwoClasses(const std::string& root, int train_per_class, int val_per_class);

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_DATA_DRAWN_DATASET_H_
