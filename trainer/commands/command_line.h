// The `stylex-train` program: its subcommands and their options.
#ifndef STYLEX_TRAINER_COMMANDS_COMMAND_LINE_H_
#define STYLEX_TRAINER_COMMANDS_COMMAND_LINE_H_

namespace stylex {

// Exit code 0 on success; otherwise 1 (2 for a wrong command line) and one clear line on stderr.
int TrainMain(int argc, char** argv);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_COMMAND_LINE_H_
