// The subcommands of `stylex-train` that evaluate the method, beside those of commands.h.
#ifndef STYLEX_TRAINER_COMMANDS_STUDY_OPTIONS_H_
#define STYLEX_TRAINER_COMMANDS_STUDY_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trainer/commands/commands.h"
#include "trainer/study/truth/planted_mark.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
class Option;
}  // namespace CLI

namespace stylex {

struct StudyOptions {
  std::string checkpoint;
  int64_t attributes = 6;
  int64_t questions = 3;  // about each attribute
  int64_t images = 400;   // validation images to choose pictures from; 0: all
  double shift = 1;
  std::string target;              // a label: its attributes only
  std::vector<std::string> score;  // answer sheets; empty: make a study
  std::string key;
};
// Makes the page of a user study, or scores its answers.
absl::Status StudyCommand(const CommonOptions& common, const StudyOptions& options);

struct WorldOptions {
  std::string output;
  int resolution = 64;
  int64_t train = 6000;
  int64_t validation = 1000;
  uint64_t seed = 1;
  std::string rule;
  double correlation = 0;
  double doubt = 0;
  std::string mark_on;  // a data set: plant a mark there instead of drawing faces
  std::string classes;  // two of its labels
  double rho = 1;
  double mark_side = kMarkSide;
};
// Draws a data set of known causes.
absl::Status WorldCommand(const WorldOptions& options);

struct TruthCommandOptions {
  std::string checkpoint;
  int64_t top = 10;
  int64_t images = 100;
  bool record = true;  // write what was found into the checkpoint
};
// Measures what the attributes do in a drawn data set.
absl::Status TruthCommand(const CommonOptions& common, const TruthCommandOptions& options);

// The baseline of Wu et al., and what its exemplars are by default (see ParseExemplars).
inline constexpr char kWuBaseline[] = "wu";
inline constexpr char kDefaultExemplars[] = "0.9";

struct FiguresOptions {
  std::string checkpoint;
  int64_t photographs = 8;  // beside their reconstructions
  int64_t examples = 3;     // images that each attribute is shown on
  int64_t attributes = 4;   // of each class, the strongest first
  double shift = 1;
  std::string baseline;                       // kWuBaseline: its lists instead of the index's
  std::string exemplars = kDefaultExemplars;  // of the baseline
};
// Draws the paper's figures for a checkpoint.
absl::Status FiguresCommand(const CommonOptions& common, const FiguresOptions& options);

struct SamplesOptions {
  std::string checkpoint;
  int64_t images = 64;
  int64_t columns = 8;
};
// Draws images that a StyleGAN2 makes of seeded z's.
absl::Status SamplesCommand(const CommonOptions& common, const SamplesOptions& options);

// `evaluate --protocol`.
inline constexpr char kTable2Protocol[] = "table2";
inline constexpr char kHeldOutProtocol[] = "heldout";
inline constexpr char kCounterfactualsProtocol[] = "counterfactuals";
inline constexpr char kServedProtocol[] = "served";
struct ProtocolCommandOptions {
  std::string protocol;
  EvaluateOptions evaluate;                   // flip_images 0: the protocol's default
  std::vector<std::string> oracles;           // see OpenOracles; for counterfactuals and heldout
  bool lists_only = false;                    // heldout without the search on each image
  std::string exemplars = kDefaultExemplars;  // of the baseline; for table2 and heldout
  std::string stylegan2;  // version folder of a model to measure beside it; for table2 and heldout
};
// Measures flip rates by a published protocol.
absl::Status ProtocolCommand(const CommonOptions& common, const ProtocolCommandOptions& options);

struct ServedCommandOptions {
  std::string checkpoint;
  int64_t images = 0;                // validation images that are explained; 0: 500
  std::vector<std::string> oracles;  // see OpenOracles
  bool record = true;                // write the figures into the checkpoint
};
// Measures explanations as they are served.
absl::Status ServedCommand(const CommonOptions& common, const ServedCommandOptions& options);

// Adds --exemplars, which has a meaning only with the flag `of`.
void AddExemplars(CLI::App* command, CLI::Option* of, std::string* exemplars);

// Their flags. Must outlive parsing and execution of the program that they are added to.
class StudyCommands {
 public:
  // A selected subcommand stores its action in `run`.
  void Add(CLI::App* app, CommonOptions* common, std::function<absl::Status()>* run);

 private:
  StudyOptions study_;
  WorldOptions world_;
  TruthCommandOptions truth_;
  FiguresOptions figures_;
  SamplesOptions samples_;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_STUDY_OPTIONS_H_
