// Explains many photographs, several at a time, and keeps what is done.
#ifndef STYLEX_CLIENT_EXPLAIN_JOB_H_
#define STYLEX_CLIENT_EXPLAIN_JOB_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "client/explain_photograph.h"
#include "client/file_failures.h"
#include "client/progress.h"
#include "client/records.h"

namespace stylex {

struct ExplainJobOptions {
  int calls = 4;        // in flight at once
  bool afresh = false;  // explains again what is done
  bool json = false;    // prints answers as JSON Lines instead of sentences
  std::string output;   // folder
};

class ExplainJob {
 public:
  // What it is given must outlive it.
  ExplainJob(const ExplainSetup& setup, const v1::Model& model, const Records& records,
             const std::vector<ExplainTask>& tasks, const ExplainJobOptions& options);

  // Explains until all is done or the setup's calls are cancelled. Prints a line for each
  // photograph as soon as it is there, but for a person who watches the bar; `meanwhile` is called
  // now and then, from this thread. An error is one of writing files, which ends the job.
  absl::Status Run(const std::function<void()>& meanwhile);

  // Results so far, in the order of the tasks: the facts, the tasks they belong to, and failures.
  struct Results {
    std::vector<nlohmann::json> facts;
    std::vector<size_t> tasks;
    std::vector<FailedFile> failed;
  };
  Results Collect() const;

  // OK without failures, else how many there were.
  absl::Status Summary() const;

 private:
  void Work();
  // A kept record (and sets *resumed), else what the server answers now.
  absl::StatusOr<Record> FindOrExplain(const ExplainTask& task, bool* resumed);
  void Finish(size_t task, absl::StatusOr<Record> record, bool resumed);
  absl::StatusOr<Record> Explain(const ExplainTask& task, const v1::Image& image,
                                 const std::string& key);
  void Print(const ExplainTask& task, const Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WaitAWhile();  // whether the job has ended

  const ExplainSetup& setup_;
  const v1::Model& model_;
  const Records& records_;
  const std::vector<ExplainTask>& tasks_;
  const ExplainJobOptions& options_;
  const bool watched_;       // a person sees the bar, and no file or program gets the lines
  const std::string asked_;  // all of the request but the image

  mutable Mutex mutex_;
  CondVar changed_;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t resumed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::optional<nlohmann::json>> facts_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::optional<FailedFile>> failed_ ABSL_GUARDED_BY(mutex_);
  FileFailures failures_ ABSL_GUARDED_BY(mutex_);
  ProgressLine progress_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stylex

#endif  // STYLEX_CLIENT_EXPLAIN_JOB_H_
