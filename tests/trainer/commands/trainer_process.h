// stylex-train in a separate process, which a test may kill.
#ifndef STYLEX_TESTS_TRAINER_COMMANDS_TRAINER_PROCESS_H_
#define STYLEX_TESTS_TRAINER_COMMANDS_TRAINER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace stylex {

class TrainerProcess {
 public:
  // Starts the process; its output goes to the file `output`, which is truncated.
  TrainerProcess(const std::vector<std::string>& arguments, const std::string& output);
  // Kills the process if it is still running.
  ~TrainerProcess();
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  void Signal(int number) const;
  // Waits until it ends; returns its exit code, or -signal.
  int Wait();
  // Returns once the file has been replaced `times` times, with a new inode each time, or when the
  // process has ended.
  void AwaitWritten(const std::string& path, int times);
  std::string Output() const;

 private:
  bool Ended();

  std::string output_;
  pid_t pid_ = 0;
  int result_ = 0;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_COMMANDS_TRAINER_PROCESS_H_
