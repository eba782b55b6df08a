#include "trainer/commands/subcommand_options.h"

#include <CLI/CLI.hpp>

namespace stylex {

void AddCommonOptions(CLI::App* command, CommonOptions* options) {
  command
      ->add_option("--data", options->data,
                   "folder with train/CLASS/* and val/CLASS/*, IDX files, CELEBA:ATTRIBUTE, or a "
                   "folder of unlabelled images")
      ->required();
  command
      ->add_option(
          "--crop", options->crop,
          "side in pixels of the central square that is cut out of every photograph before "
          "it is resized; default: the config's data.crop, or all of it")
      ->check(CLI::PositiveNumber);
  command->add_option("--work-dir", options->work_directory, "where state, log and samples go")
      ->required();
  command->add_option("--seed", options->seed, "of everything random")->capture_default_str();
  command->add_flag("--resume", options->resume, "go on with the run in --work-dir");
  command->add_option("--device", options->device, "auto, cpu or cuda[:N]")->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads; 0: all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
}

}  // namespace stylex
