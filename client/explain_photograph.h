// Makes all calls for what is shown of one photograph.
#ifndef STYLEX_CLIENT_EXPLAIN_PHOTOGRAPH_H_
#define STYLEX_CLIENT_EXPLAIN_PHOTOGRAPH_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/call.h"
#include "client/interrupt.h"
#include "client/report/explanation.h"
#include "client/report/overview.h"

namespace stylex {

// One photograph of a job.
struct ExplainTask {
  std::string path;
  std::string name;          // base name of its files, unique in the job
  std::string folder_label;  // the class that its folder is named after; may be empty
};

// The server, and what is asked of it. Thread-safe while it is not changed.
struct ExplainSetup {
  const ConnectionOptions& connection;
  v1::ExplanationService::Stub* stub;
  v1::CounterfactualRequest request;  // but for the image
  int frames = 0;                     // of each moved attribute, 0: none
  RunningCalls* calls;                // what an interruption cancels
  v1::Preprocessing preprocessing;    // of the model
};

// CANCELLED if the calls were cancelled.
absl::StatusOr<ExplainedPhotograph> ExplainPhotograph(const ExplainSetup& setup,
                                                      const ExplainTask& task,
                                                      const v1::Image& image);

// The photograph as the model's generator draws it, and with each of these attributes moved by
// `shift`.
absl::StatusOr<std::vector<AttributePair>> DrawPairs(const ExplainSetup& setup,
                                                     const ExplainTask& task,
                                                     const v1::ClassAttributes& of_class,
                                                     double shift);

}  // namespace stylex

#endif  // STYLEX_CLIENT_EXPLAIN_PHOTOGRAPH_H_
