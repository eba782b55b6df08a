#include "trainer/commands/command_line.h"

#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/exceptions.h"
#include "base/heap.h"
#include "explain/components.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/study_options.h"
#include "trainer/commands/subcommand_options.h"

namespace stylex {
namespace {

// CLI::Range lets what is not a number through, since that is neither below nor above a bound.
absl::Status RefuseNan(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& text : option->results()) {
        double value = 0;
        if (absl::StartsWith(option->get_type_name(), "FLOAT") && absl::SimpleAtod(text, &value) &&
            std::isnan(value)) {
          return absl::InvalidArgumentError(
              absl::StrCat(option->get_name(), ": ", text, " is no number"));
        }
      }
    }
  }
  return absl::OkStatus();
}

void AddConfig(CLI::App* command, CommonOptions* options) {
  command->add_option("--config", options->config, "TrainConfig as JSON; overrides the preset");
  command->add_option("--preset", options->preset,
                      "default (recommended), seed (what the replication study's program does) or "
                      "paper (the original authors' training, as the study reports it)");
}

void AddOutput(CLI::App* command, OutputOptions* options) {
  command->add_option("--output", options->root, "model repository the checkpoint goes to")
      ->required();
  command->add_option("--name", options->name, "name of the model")->required();
  command->add_option("--version", options->version, "version; 0: the next free one")
      ->capture_default_str();
  command->add_flag("--replace", options->replace, "replace that version if it is there");
}

// What `stylex` and `stylegan2` share.
void AddTraining(CLI::App* command, CommonOptions* common, StylexOptions* options,
                 OutputOptions* output) {
  AddCommonOptions(command, common);
  AddConfig(command, common);
  AddOutput(command, output);
  command
      ->add_option(
          "--classifier", options->classifier,
          "work directory of `stylex-train classifier`, a checkpoint's version directory (its "
          "classifier), or a TorchScript file (.pt), which is a program: only of a source you "
          "trust")
      ->required();
  command
      ->add_option("--precision", options->precision,
                   "auto, float32 or bfloat16: of activations and convolutions; auto takes "
                   "bfloat16 where the processor multiplies in it. May change with --resume")
      ->capture_default_str();
  command->add_flag("--export-only", options->export_only,
                    "write a checkpoint from the run's saved state, train no further");
  command->add_flag("--anyway", options->anyway,
                    "train although a look at the TorchScript classifier has found faults");
}

// What the paper and the code that its authors released do differently, and what only the code
// does.
void AddReleasedChoices(CLI::App* command, CLI::Option* subset, CLI::Option* screened,
                        AttributesOptions* options) {
  command
      ->add_option("--rule", options->rule,
                   "an image counts as explained when the increases that were chosen for it add up "
                   "to --explained-at (released: the authors' code), or when a single one exceeds "
                   "it (paper: Algorithm 1, by signed means)")
      ->capture_default_str()
      ->check(CLI::IsMember({kReleasedRule, kPaperRule}))
      ->excludes(subset)
      ->excludes(screened);
  command
      ->add_option("--drop-unstable", options->drop_unstable,
                   "leave images out of which more than 3.3 % of all effects exceed so many logits "
                   "(the authors' code: 2); 0: keep all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->excludes(screened);
  CLI::Option* discriminator =
      command
          ->add_option("--discriminator", options->discriminator,
                       "work directory of the run that trained the checkpoint: leave coordinates "
                       "out that its discriminator sees, moved by 2 on up to ten images a "
                       "direction (the authors' code, where it is switched off)")
          ->excludes(subset)
          ->excludes(screened);
  command
      ->add_option("--most-score-change", options->most_score_change,
                   "of --discriminator: its score may change by so much")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->needs(discriminator);
}

void AddAttributes(CLI::App* command, AttributesOptions* options) {
  command->add_option("--checkpoint", options->checkpoint, "version folder, NAME/VERSION")
      ->required();
  command
      ->add_option("--images", options->images,
                   "training images that are searched; of a StyleGAN2, images of z's")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--range-images", options->range_images,
                   "training images the coordinates' ranges are taken over; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option(
          "--range-tails", options->range_tails,
          "share of those images that is left out at each end of a range, e.g. 0.005: extremes "
          "of components are outliers; 0: ranges end at the extremes, as in the paper")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.45));
  command->add_option("--max-attributes", options->max_attributes, "kept for each class")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--shift", options->shift, "1: to the extreme")->capture_default_str();
  command
      ->add_option("--explained-at", options->explained_at,
                   "logits after which an image counts as explained (see --rule) and is asked no "
                   "more; 0: never, a plain ranking by mean effect")
      ->capture_default_str();
  command
      ->add_option(
          "--least-effect", options->least_effect,
          "attributes that raise their class by less than this share of what its strongest "
          "does are left out; 0: none are")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  CLI::Option* subset =
      command->add_flag("--subset", options->subset, "joint greedy instead of independent effects");
  command
      ->add_option("--threshold", options->threshold,
                   "of --subset: stop where one more attribute raises the mean logit by less")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->needs(subset);
  CLI::Option* screened =
      command
          ->add_flag("--screened", options->screened,
                     "evaluate only the moves that gradients do not rule out, some 20 times fewer; "
                     "a killed search begins anew")
          ->excludes(subset);
  AddReleasedChoices(command, subset, screened, options);
}

void AddComponents(CLI::App* command, ComponentsOptions* options) {
  command->add_option("--checkpoint", options->checkpoint, "version folder, NAME/VERSION")
      ->required();
  command->add_option("--images", options->images, "training images; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  CLI::Option* count =
      command->add_option("--components", options->count, "how many; default: as --variance says")
          ->check(CLI::Range(int64_t{1}, kMaxComponents));
  command
      ->add_option("--variance", options->variance,
                   "share of the latents' variance that the components have together")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0))
      ->excludes(count);
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) {
    return 0;
  }
  std::fprintf(stderr, "stylex-train: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  return 1;
}

// Within single quotes, where the shell would read the word as anything else than itself.
std::string ShellQuoted(const std::string& word) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string CommandLine(int argc, char** argv) {
  std::string line = "stylex-train";
  for (int i = 1; i < argc; ++i) {
    line += " " + ShellQuoted(argv[i]);
  }
  return line;
}

// What the subcommands' options are read into, and what the one that was given does.
struct Subcommands {
  CommonOptions common;
  OutputOptions output;
  StylexOptions stylex;
  ReportOptions report;
  AttributesOptions attributes;
  ComponentsOptions components;
  NameOptions name;
  DescribeOptions describe;
  CalibrateOptions calibrate;
  EvaluateOptions evaluate;
  ProtocolCommandOptions protocol;
  StudyCommands study;
  std::function<absl::Status()> run;
};

void AddClassifier(CLI::App* app, Subcommands* all) {
  CLI::App* classifier =
      app->add_subcommand("classifier", "train MobileNetV2 on the data's classes");
  AddCommonOptions(classifier, &all->common);
  AddConfig(classifier, &all->common);
  classifier->callback([all] { all->run = [all] { return ClassifierCommand(all->common); }; });
}

void AddStylex(CLI::App* app, Subcommands* all) {
  CLI::App* stylex =
      app->add_subcommand("stylex", "train generator and encoder around a classifier");
  AddTraining(stylex, &all->common, &all->stylex, &all->output);
  stylex->add_option(
      "--start-from", all->stylex.start_from,
      "version folder whose networks the run begins with: of the same resolution, or "
      "of a smaller one with the same channels as far as it goes");
  stylex->add_option("--lpips-weights", all->stylex.lpips_weights,
                     "safetensors file with the trunk and the heads of LPIPS (AlexNet, VGG16 or "
                     "SqueezeNet 1.1): the perceptual loss, instead of the classifier's features");
  stylex->callback(
      [all] { all->run = [all] { return StylexCommand(all->common, all->stylex, all->output); }; });
}

void AddStyleGan2(CLI::App* app, Subcommands* all) {
  CLI::App* stylegan2 = app->add_subcommand(
      "stylegan2",
      "train the generator alone, without encoder and classifier losses: what StylEx is compared "
      "with, by `attributes` and `evaluate --protocol`; it cannot be served");
  AddTraining(stylegan2, &all->common, &all->stylex, &all->output);
  stylegan2->callback([all] {
    all->run = [all] { return StyleGan2Command(all->common, all->stylex, all->output); };
  });
}

void AddReport(CLI::App* app, Subcommands* all) {
  CLI::App* report = app->add_subcommand(
      "report", "write the page of a training, WORK/report.html, also while it goes on");
  report->add_option("--work-dir", all->report.work_directory, "of the training")->required();
  report->add_option("--compare", all->report.compare,
                     "work directory of another training, to stand beside it; several times");
  report->add_option("--output", all->report.output,
                     "another path of the page; default: report.html in --work-dir");
  report->callback([all] { all->run = [all] { return ReportCommand(all->report); }; });
}

void AddAttributeSearch(CLI::App* app, Subcommands* all) {
  CLI::App* attributes = app->add_subcommand(
      "attributes",
      "find the attributes of every class (AttFind) and write them into a checkpoint");
  AddCommonOptions(attributes, &all->common);
  AddAttributes(attributes, &all->attributes);
  attributes->callback(
      [all] { all->run = [all] { return AttributesCommand(all->common, all->attributes); }; });
}

void AddComponentSearch(CLI::App* app, Subcommands* all) {
  CLI::App* components = app->add_subcommand(
      "components",
      "make independent directions of the latent the style coordinates of a new checkpoint, "
      "instead of the convolutions' channels");
  AddCommonOptions(components, &all->common);
  AddComponents(components, &all->components);
  AddOutput(components, &all->output);
  components->callback([all] {
    all->run = [all] { return ComponentsCommand(all->common, all->components, all->output); };
  });
}

void AddName(CLI::App* app, Subcommands* all) {
  CLI::App* name = app->add_subcommand(
      "name", "write people's words for attributes into a checkpoint, where clients read them");
  name->add_option("--checkpoint", all->name.checkpoint, "version folder, NAME/VERSION")
      ->required();
  name->add_option(
          "NAMES", all->name.names,
          "INDEX:min=NAME or INDEX:max=NAME, whatever the class; an empty NAME takes it away")
      ->required();
  name->add_flag("--anyway", all->name.anyway,
                 "also names that say what `describe` did not measure");
  name->callback([all] { all->run = [all] { return NameCommand(all->common, all->name); }; });
}

void AddDescribe(CLI::App* app, Subcommands* all) {
  CLI::App* describe = app->add_subcommand(
      "describe",
      "measure what each attribute changes in held-out pictures, in words: \"dark parts redder\"");
  AddCommonOptions(describe, &all->common);
  describe->add_option("--checkpoint", all->describe.checkpoint, "version folder, NAME/VERSION")
      ->required();
  describe->add_option("--images", all->describe.images, "validation images; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  describe->add_option("--word", all->describe.words,
                       "PLACE=WORD, a word of the data's field: \"dark parts=nucleus\"");
  describe->callback(
      [all] { all->run = [all] { return DescribeCommand(all->common, all->describe); }; });
}

void AddCalibrate(CLI::App* app, Subcommands* all) {
  CLI::App* calibrate = app->add_subcommand(
      "calibrate",
      "fit the temperature of the probabilities and measure how well held-out images are "
      "reconstructed, for what servers tell of an image; takes minutes, and is needed once a "
      "checkpoint");
  AddCommonOptions(calibrate, &all->common);
  calibrate->add_option("--checkpoint", all->calibrate.checkpoint, "version folder, NAME/VERSION")
      ->required();
  calibrate->callback(
      [all] { all->run = [all] { return CalibrateCommand(all->common, all->calibrate); }; });
}

void AddProtocol(CLI::App* evaluate, ProtocolCommandOptions* protocol) {
  CLI::Option* protocol_option =
      evaluate
          ->add_option("--protocol", protocol->protocol,
                       "instead: flip rates of AttFind, the baseline and the controls, by the "
                       "replication study's protocol (table2) or on held-out images (heldout); or "
                       "how good the joint search's counterfactuals are (counterfactuals), or "
                       "the answers that a server gives by default (served)")
          ->check(CLI::IsMember(
              {kTable2Protocol, kHeldOutProtocol, kCounterfactualsProtocol, kServedProtocol}));
  evaluate
      ->add_option(
          "--oracle", protocol->oracles,
          "for served, counterfactuals and heldout: another classifier, to be convinced as well; "
          "the work directory of `stylex-train classifier`, or a TorchScript file (.pt)")
      ->needs(protocol_option);
  evaluate
      ->add_flag("--lists-only", protocol->lists_only,
                 "for heldout: without what is chosen for the image, whose search takes longest")
      ->needs(protocol_option);
  evaluate
      ->add_option("--stylegan2", protocol->stylegan2,
                   "for table2 and heldout: version folder of a StyleGAN2 around the same "
                   "classifier, whose figures are put beside the checkpoint's")
      ->needs(protocol_option);
  AddExemplars(evaluate, protocol_option, &protocol->exemplars);
}

void AddEvaluate(CLI::App* app, Subcommands* all) {
  CLI::App* evaluate = app->add_subcommand(
      "evaluate", "measure a checkpoint on the validation split and write the figures into it");
  AddCommonOptions(evaluate, &all->common);
  evaluate->add_option("--checkpoint", all->evaluate.checkpoint, "version folder, NAME/VERSION")
      ->required();
  evaluate
      ->add_option("--flip-images", all->evaluate.flip_images,
                   "validation images whose flips are searched, drawn with the seed; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  evaluate
      ->add_option(
          "--candidates", all->evaluate.candidates,
          "strongest singles: moves an image, ranked by gradients, that are computed exactly")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  evaluate
      ->add_option("--joint-candidates", all->evaluate.joint_candidates,
                   "joint search: moves, ranked by gradients, that each step tries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  evaluate
      ->add_option(
          "--beam", all->evaluate.beam,
          "joint search: sets of moves that are followed side by side where the greedy one "
          "takes three moves or more; 1: greedy only")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  evaluate->add_flag("!--no-record", all->evaluate.record, "print only, leave the checkpoint");
  evaluate->add_flag("--reconstruction-only", all->evaluate.reconstruction_only,
                     "leave out the flips: of a checkpoint without attributes, and in a minute");
  AddProtocol(evaluate, &all->protocol);
  evaluate->callback([all] {
    all->run = [all] {
      const EvaluateOptions& options = all->evaluate;
      all->protocol.evaluate = options;
      if (all->protocol.protocol == kServedProtocol) {
        return ServedCommand(all->common, {options.checkpoint, options.flip_images,
                                           all->protocol.oracles, options.record});
      }
      return all->protocol.protocol.empty() ? EvaluateCommand(all->common, options)
                                            : ProtocolCommand(all->common, all->protocol);
    };
  });
}

}  // namespace

int TrainMain(int argc, char** argv) {
  KeepFreedMemory();
  CLI::App app{
      "Trains explainers of image classifiers: classifier, generator, encoder, attributes."};
  app.set_version_flag("--version", STYLEX_VERSION);
  app.require_subcommand(1);
  Subcommands all;
  all.common.command_line = CommandLine(argc, argv);
  for (const auto add : {AddClassifier, AddStylex, AddStyleGan2, AddReport, AddAttributeSearch,
                         AddComponentSearch, AddName, AddDescribe, AddCalibrate, AddEvaluate}) {
    add(&app, &all);
  }
  all.study.Add(&app, &all.common, &all.run);

  CLI11_PARSE(app, argc, argv);
  if (absl::Status status = RefuseNan(app); !status.ok()) {
    return ExitCode(status);
  }
  try {
    return ExitCode(all.run());
  } catch (const std::exception&) {
    return ExitCode(StatusOfException());
  }
}

}  // namespace stylex
