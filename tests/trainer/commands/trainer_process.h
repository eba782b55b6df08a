// stylex-train as a process of its own, which a test may kill.
#ifndef STYLEX_TESTS_TRAINER_COMMANDS_TRAINER_PROCESS_H_
#define STYLEX_TESTS_TRAINER_COMMANDS_TRAINER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace stylex {

class TrainerProcess {
 public:
  // Starts at once; all that it says goes to the file `output`, which is begun anew.
  TrainerProcess(const std::vector<std::string>& arguments, const std::string& output);
  // Kills it if it still runs.
  ~TrainerProcess();
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  void Signal(int number) const;
  // Waits for the end; its exit code, or -signal.
  int Wait();
  // Returns when the file has been written `times` times from now on, whole and under a new inode
  // each time, or when the process has ended.
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
