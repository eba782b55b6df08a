// The `stylex-train` program: its subcommands and their options.
#ifndef STYLEX_TRAINER_COMMANDS_COMMAND_LINE_H_
#define STYLEX_TRAINER_COMMANDS_COMMAND_LINE_H_

#include "trainer/commands/commands.h"

namespace CLI {
class App;
}

namespace stylex {

// Exit code 0 on success; otherwise 1 (2 for a wrong command line) and one clear line on stderr.
int TrainMain(int argc, char** argv);

// Gives a subcommand the flags of CommonOptions.
void AddCommonOptions(CLI::App* command, CommonOptions* options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_COMMAND_LINE_H_
