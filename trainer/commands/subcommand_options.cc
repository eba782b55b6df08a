#include "trainer/commands/subcommand_options.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace stylex {

void AddCommonOptions(CLI::App* command, CommonOptions* options) {
  command
      ->add_option("--data", options->data,
                   "folder with train/CLASS/* and val/CLASS/* (JPEG, PNG, WebP), IDX files, "
                   "CELEBA:ATTRIBUTE, or a "
                   "folder of unlabelled images")
      ->required();
  command
      ->add_option(
          "--crop", options->crop,
          "side in pixels of the central square that is cut out of every photograph before "
          "it is resized; default: the config's data.crop, or all of it")
      ->check(CLI::PositiveNumber);
  command
      ->add_option_function<std::vector<std::string>>(
          "--class",
          [options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const size_t equals = text.rfind('=');
              if (equals == std::string::npos) {
                throw CLI::ValidationError("--class", "\"" + text + "\" is not FOLDER=LABEL");
              }
              options->classes[text.substr(0, equals)] = text.substr(equals + 1);
            }
          },
          "FOLDER=LABEL: which of the classifier's labels a class folder of another name has")
      ->allow_extra_args(false);
  command
      ->add_option("--max-pixels", options->max_pixels,
                   "image files of more pixels are left out; reading one takes 3 bytes a pixel")
      ->capture_default_str()
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
