// What determines a training run: read from its state, compared with what is asked now, and used
// again when the run goes on.
#ifndef STYLEX_TRAINER_TRAINING_RUN_RECORD_H_
#define STYLEX_TRAINER_TRAINING_RUN_RECORD_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stylex/v1/run_record.pb.h"

namespace stylex {

struct StoredRun {
  std::string path;  // of the state, for messages
  v1::RunRecord record;
  // False for a state of an earlier version, which holds the config without length and intervals,
  // but neither what was given nor the hashes of data and classifier.
  bool complete = true;
};

// NOT_FOUND when there is no file, DATA_LOSS when it cannot be read, FAILED_PRECONDITION when it
// was written by another version whose config has fields that this one does not know.
absl::StatusOr<StoredRun> ReadStoredRun(const std::string& state_path);

// The record in a state of an earlier version: the config in protobuf's text format, of a
// classifier's training only its part of it, then " seed N" and, of each file, its hash.
absl::StatusOr<v1::RunRecord> ParseFormerFingerprint(const std::string& text);

// The config that a run goes on with: the stored one, except that its length, the intervals of
// saving and sampling, and descriptions are those of `resolved` where they were given. `given` is
// what config file and flags say now, `resolved` the same over today's preset; when neither a
// config nor a preset was named (`anything_given` is false), what `given` does not say is as
// stored. FAILED_PRECONDITION
// names every given field with another value than the stored one, and both values. Values that only
// the preset has changed since, and fields whose names start with `irrelevant` ("stylex." for a
// classifier's training), are ignored.
absl::StatusOr<v1::TrainConfig> ConfigToGoOnWith(const StoredRun& stored, bool anything_given,
                                                 const v1::TrainConfig& given,
                                                 const v1::TrainConfig& resolved,
                                                 const std::string& irrelevant);

// FAILED_PRECONDITION naming all that differs, with both values: seed, classes, classifier, LPIPS
// weights, the weights that the run started from, and files of the data. What an incomplete record
// does not tell is not compared.
absl::Status CompareInputs(const StoredRun& stored, const v1::RunRecord& now);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_RUN_RECORD_H_
