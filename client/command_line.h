// The `stylex` program: its subcommands and their options.
#ifndef STYLEX_CLIENT_COMMAND_LINE_H_
#define STYLEX_CLIENT_COMMAND_LINE_H_

namespace stylex {

// Exit code 0 only on success; otherwise prints one line per error to stderr.
int ClientMain(int argc, char** argv);

}  // namespace stylex

#endif  // STYLEX_CLIENT_COMMAND_LINE_H_
