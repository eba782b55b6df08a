// The subcommands of `stylex-train`, one function each.
#ifndef STYLEX_TRAINER_COMMANDS_COMMANDS_H_
#define STYLEX_TRAINER_COMMANDS_COMMANDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trainer/commands/subcommand_options.h"

namespace stylex {

struct OutputOptions {
  std::string root;
  std::string name;
  int64_t version = 0;
  bool replace = false;
};

// Trains a classifier and writes it into the work directory.
absl::Status ClassifierCommand(const CommonOptions& common);

struct StylexOptions {
  std::string classifier;
  std::string start_from;     // version folder, see StylexTraining::StartFrom; empty: from nothing
  std::string lpips_weights;  // see Lpips::Load; empty: the classifier's features instead
  std::string precision = "auto";  // see ChoosePrecision
  bool export_only = false;
  bool anyway = false;  // train although the classifier has faults, see CheckClassifier
};
// Trains a StylEx on a classifier and writes a checkpoint.
absl::Status StylexCommand(const CommonOptions& common, const StylexOptions& options,
                           const OutputOptions& output);
// Trains the plain StyleGAN2 of the same config, see PlainStyleGan2; `lpips_weights` is ignored.
absl::Status StyleGan2Command(const CommonOptions& common, const StylexOptions& options,
                              const OutputOptions& output);

struct ReportOptions {
  std::string work_directory;
  std::vector<std::string> compare;  // work directories of other runs
  std::string output;                // of the page; empty: report.html in the work directory
};
// Writes the page of a run, also while it trains.
absl::Status ReportCommand(const ReportOptions& options);

// What makes an image count as explained, see SelectionOptions.
inline constexpr char kReleasedRule[] = "released";
inline constexpr char kPaperRule[] = "paper";
struct AttributesOptions {
  std::string checkpoint;    // version directory; the index is written into it
  int64_t images = 256;      // training images that AttFind evaluates
  int64_t range_images = 0;  // training images the ranges are taken over; 0: all
  double range_tails = 0;    // share of them left out at each end of a range
  int64_t max_attributes = 32;
  double shift = 1;
  double explained_at = 2.5;
  std::string rule = kReleasedRule;  // of independent effects; kPaperRule not with `screened`
  bool subset = false;               // joint greedy instead of independent
  double threshold = 0;              // with `subset`; see SubsetOptions
  bool screened = false;             // skips moves that gradients rule out; not with `subset`
  double drop_unstable = 0;          // logits, see StableImages; 0: keeps all; not with `screened`
  // Work directory of the run that trained the checkpoint: coordinates that change the score of its
  // discriminator by more than `most_score_change` are left out; empty: none are. Not with `subset`
  // or `screened`.
  std::string discriminator;
  double most_score_change = 0.2;
  // Attributes whose mean effect is less than this share of the strongest one's are left out.
  double least_effect = 0;
};
// Searches the attributes of every class and writes the index into the checkpoint.
absl::Status AttributesCommand(const CommonOptions& common, const AttributesOptions& options);

struct ComponentsOptions {
  std::string checkpoint;  // version directory; not modified
  int64_t images = 0;      // training images; 0: all
  int64_t count = 0;       // see ComponentOptions (explain/components.h)
  double variance = 0.97;
};
// Writes a version whose style coordinates are independent directions of the latent. It has no
// attribute index: run `attributes` on it.
absl::Status ComponentsCommand(const CommonOptions& common, const ComponentsOptions& options,
                               const OutputOptions& output);

struct NameOptions {
  std::string checkpoint;
  std::vector<std::string> names;  // INDEX:min=NAME or INDEX:max=NAME; an empty NAME removes it
  bool anyway = false;             // also names that say what was not measured
};
// Writes names that people gave to attributes into a checkpoint's index, all or none. A name that
// says a change ("redder") which DescribeCommand did not measure is FAILED_PRECONDITION. Uses only
// the device of `common`.
absl::Status NameCommand(const CommonOptions& common, const NameOptions& options);

struct DescribeOptions {
  std::string checkpoint;
  int64_t images = 200;            // validation images; 0: all
  std::vector<std::string> words;  // PLACE=WORD: "dark parts=nucleus"
};
// Measures what each attribute of the index changes in pictures, and writes it in words into the
// index, and with numbers into descriptions.json.
absl::Status DescribeCommand(const CommonOptions& common, const DescribeOptions& options);

struct CalibrateOptions {
  std::string checkpoint;  // version directory
};
// Writes what servers need to know from the validation split into a checkpoint: the temperature of
// its probabilities and the distribution of its reconstruction errors. Also writes the attribute
// index again, without attributes that raise nothing.
absl::Status CalibrateCommand(const CommonOptions& common, const CalibrateOptions& options);

struct EvaluateOptions {
  std::string checkpoint;
  int64_t flip_images = 0;  // validation images whose flips are searched; 0: all
  // See FlipOptions.
  int64_t candidates = 96;
  int64_t joint_candidates = 32;
  int64_t beam = 8;
  bool record = true;                // write the figures into the checkpoint
  bool reconstruction_only = false;  // no flips, whose search takes longest and needs attributes
};
// Prints the figures of a checkpoint.
absl::Status EvaluateCommand(const CommonOptions& common, const EvaluateOptions& options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_COMMANDS_H_
