// Synthetic data sets for tests, in a temporary folder.
#ifndef STYLEX_TESTS_TRAINER_DATA_DRAWN_DATASET_H_
#define STYLEX_TESTS_TRAINER_DATA_DRAWN_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "image/bitmap.h"
#include "tests/temporary_folder.h"

namespace stylex {

// Each function creates the folders it needs and fails the test on write errors.
void WriteBytes(const std::string& path, const std::string& bytes);
void WritePng(const std::string& path, const Bitmap& bitmap);
void WriteJpeg(const std::string& path, const Bitmap& bitmap);
void WriteGzip(const std::string& path, const std::string& bytes);

// An IDX file of bytes with `dimensions` in its header, regardless of the size of `values`.
std::string IdxBytes(const std::vector<uint32_t>& dimensions, const std::string& values);

// ROOT/{train,val}/{dark,light}/N.png: 16x16 noise around the brightness of the class.
void DrawTwoClasses(const std::string& root, int train_per_class, int val_per_class);

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_DATA_DRAWN_DATASET_H_
