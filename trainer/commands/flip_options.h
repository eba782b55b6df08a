// The options of a flip measurement from those of the command line.
#ifndef STYLEX_TRAINER_COMMANDS_FLIP_OPTIONS_H_
#define STYLEX_TRAINER_COMMANDS_FLIP_OPTIONS_H_

#include <cstdint>

#include "models/stylex.h"
#include "trainer/commands/commands.h"
#include "trainer/study/reconstruction_figures.h"

namespace stylex {

// The options that the command line requests; on a CPU, one worker for each of LibTorch's threads.
FlipOptions FlipOptionsOf(const EvaluateOptions& options, uint64_t seed, const Stylex& model);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_FLIP_OPTIONS_H_
