// A quick look at a training: pictures and figures of held-out photographs, by the averaged
// networks.
#ifndef STYLEX_TRAINER_TRAINING_QUICK_LOOK_H_
#define STYLEX_TRAINER_TRAINING_QUICK_LOOK_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "trainer/data/dataset.h"
#include "trainer/training/stylex_training.h"
#include "trainer/work_directory.h"

namespace stylex {

inline constexpr int64_t kQuickImages = 512;  // validation images of a look
inline constexpr int64_t kQuickBatch = 64;    // or fewer: a look takes no more memory than a step

// Writes samples/IMAGES.png, with an encoder also what trainer/report/look.h puts beside it, and
// returns the figures for the log, with "images_seen": agreement and flips or, of a plain
// StyleGAN2, the shares of the classes. Draws nothing from the training's generators of random
// numbers.
absl::StatusOr<StepMetrics> QuickLook(const StylexTraining& training, const Dataset& dataset,
                                      int64_t batch_size, WorkDirectory* run);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_QUICK_LOOK_H_
