// Runs the `stylex` program as a separate process.
#ifndef STYLEX_TESTS_CLIENT_PROGRAM_H_
#define STYLEX_TESTS_CLIENT_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace stylex {

struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal
  std::string out;
  std::string err;
};

// A running program. Not thread-safe.
class Program {
 public:
  struct Options {
    std::vector<std::string> environment;  // NAME=VALUE, in addition to PATH
    bool terminal = false;                 // stderr is a terminal
  };
  Program(const std::vector<std::string>& arguments, const Options& options);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  void Signal(int number) const;
  // Reads all output of the program and waits until it ends.
  ProgramResult Wait();

 private:
  pid_t process_ = -1;
  int out_ = -1;
  int err_ = -1;
};

// Runs the program to completion.
ProgramResult RunProgram(const std::vector<std::string>& arguments,
                         const Program::Options& options = {});

}  // namespace stylex

#endif  // STYLEX_TESTS_CLIENT_PROGRAM_H_
