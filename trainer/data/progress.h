// How long work says how far it is, and what went wrong on the way.
#ifndef STYLEX_TRAINER_DATA_PROGRESS_H_
#define STYLEX_TRAINER_DATA_PROGRESS_H_

#include <cstdint>
#include <string>

namespace stylex {

// Warn is thread-safe, the rest belongs to one thread. One thing is in progress at a time.
class Progress {
 public:
  virtual ~Progress() = default;

  // What a reader of the log should look into, e.g. a file that was left out.
  virtual void Warn(const std::string& message) = 0;

  // `what` begins, with `done` of `total` units done already.
  virtual void Start(const std::string& what, int64_t done, int64_t total) = 0;
  // Cheap: implementations show it at intervals only. `note` stands behind rate and time left.
  virtual void Advance(int64_t done, const std::string& note) = 0;
  // Ends what Start began.
  virtual void End() = 0;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_PROGRESS_H_
