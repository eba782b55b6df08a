// Small checkpoints that tests create quickly: random networks for 16x16 images with a classifier
// that decides by brightness.
#ifndef STYLEX_TESTS_E2E_TINY_CHECKPOINT_H_
#define STYLEX_TESTS_E2E_TINY_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "tests/temporary_folder.h"

namespace stylex {

struct TinyCheckpoint {
  std::string name = "tiny";
  int64_t version = 1;
  uint64_t seed = 1;
  int channels = 8;        // feature maps at every resolution; more make it slower
  int image_channels = 3;  // 1 or 3
  int components = 0;      // random directions of the latent as style coordinates; 0: channels
  bool with_index = true;  // attribute index for every class
  bool built_in_classifier = false;  // a random MobileNetV2 instead of the brightness one
  bool with_encoder = true;          // false: a plain StyleGAN2
  bool knows_errors = false;         // reconstruction errors of held-out images, all tiny
  bool stalls = false;               // its classifier hangs on very dark images
  bool compares = false;             // its classifier compares the images of a batch
};

// Writes ROOT/NAME/VERSION with the labels "dark", "medium", "bright"; returns its path. Fails the
// test on errors.
std::string WriteTinyCheckpoint(const std::string& root, const TinyCheckpoint& checkpoint);

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_TINY_CHECKPOINT_H_
