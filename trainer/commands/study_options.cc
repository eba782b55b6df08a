#include "trainer/commands/study_options.h"

#include <CLI/CLI.hpp>

#include "trainer/commands/subcommand_options.h"
#include "trainer/study/truth/label_rule.h"

namespace stylex {
namespace {

void AddStudy(CLI::App* command, StudyOptions* options) {
  command->get_option("--data")->required(false);
  command->get_option("--work-dir")->required(false);
  command->add_option("--checkpoint", options->checkpoint,
                      "version folder, NAME/VERSION, with attributes");
  command->add_option("--attributes", options->attributes, "asked about, the strongest first")
      ->capture_default_str()
      ->check(CLI::Range(2, 100));
  command->add_option("--questions", options->questions, "about each attribute")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command
      ->add_option("--images", options->images,
                   "validation images that pictures are chosen from, drawn with the seed; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--shift", options->shift, "1: to the extreme")->capture_default_str();
  command->add_option("--target", options->target, "a class: only attributes that raise it");
  command->add_option("--score", options->score,
                      "answer sheets (CSV) to score instead of making a study");
  command->add_option("--key", options->key, "the study's key.csv, or lines NUMBER: LETTER");
}

void AddWorld(CLI::App* command, WorldOptions* options) {
  options->rule = kDefaultRule;
  command->add_option("--output", options->output, "folder of the new data set")->required();
  command->add_option("--resolution", options->resolution, "side of the images in pixels")
      ->capture_default_str()
      ->check(CLI::Range(16, 256));
  command->add_option("--train", options->train, "training images")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_option("--val", options->validation, "validation images")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_option("--seed", options->seed, "of everything random")->capture_default_str();
  command
      ->add_option(
          "--rule", options->rule,
          "factors that decide the label, with - where more of one speaks against it; none: "
          "labels by a coin")
      ->capture_default_str();
  command
      ->add_option("--correlation", options->correlation,
                   "of pairs of the faces' factors, 0 to 1: skin with hair, brows with glasses, "
                   "wrinkles with mouth, beard with eyes, background with tag")
      ->capture_default_str()
      ->check(CLI::Range(0., 1.));
  command
      ->add_option(
          "--doubt", options->doubt,
          "labels are drawn, \"yes\" with probability sigmoid(sum of the rule / doubt); 0: "
          "the rule alone decides")
      ->capture_default_str()
      ->check(CLI::Range(0., 10.));
  CLI::Option* mark = command->add_option(
      "--mark-on", options->mark_on,
      "a data set: plant a mark on its images that goes with the label, instead of drawing faces");
  command->add_option("--classes", options->classes, "two of that data set's labels, A,B")
      ->needs(mark);
  command->add_option("--rho", options->rho, "correlation of the mark with label B, 0 to 1")
      ->capture_default_str()
      ->needs(mark);
  command
      ->add_option("--mark-side", options->mark_side,
                   "side of the mark, as a share of the picture's")
      ->capture_default_str()
      ->needs(mark);
}

void AddTruth(CLI::App* command, TruthCommandOptions* options) {
  command->add_option("--checkpoint", options->checkpoint, "version folder, NAME/VERSION")
      ->required();
  command->add_option("--top", options->top, "attributes of each class, the strongest first")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--images", options->images, "validation images; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("!--no-record", options->record, "print only, leave the checkpoint");
}

void AddFigures(CLI::App* command, FiguresOptions* options) {
  command->add_option("--checkpoint", options->checkpoint, "version folder, NAME/VERSION")
      ->required();
  command
      ->add_option("--photographs", options->photographs,
                   "validation photographs beside their reconstructions, drawn with the seed")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command
      ->add_option(
          "--examples", options->examples,
          "images that each attribute is shown on: the first to which its class is the runner-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 16));
  command->add_option("--attributes", options->attributes, "of each class, the strongest first")
      ->capture_default_str()
      ->check(CLI::Range(1, 32));
  command->add_option("--shift", options->shift, "1: to the extreme")->capture_default_str();
  CLI::Option* baseline =
      command
          ->add_option("--baseline", options->baseline,
                       "instead of the checkpoint's attributes what a baseline lists: wu (Wu et "
                       "al.), of 2000 training images")
          ->check(CLI::IsMember({kWuBaseline}));
  AddExemplars(command, baseline, &options->exemplars);
}

void AddSamples(CLI::App* command, SamplesOptions* options) {
  command->get_option("--data")->required(false);
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "version folder, NAME/VERSION, of `stylex-train stylegan2`")
      ->required();
  command->add_option("--images", options->images, "how many, each of another z")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  command->add_option("--columns", options->columns, "in a row")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
}

}  // namespace

void AddExemplars(CLI::App* command, CLI::Option* of, std::string* exemplars) {
  command
      ->add_option("--exemplars", *exemplars,
                   "Wu et al.'s examples of a class: the images with a probability of it over 0.9 "
                   "(the replication study's), or 2%, those with the greatest (Wu et al.'s own)")
      ->capture_default_str()
      ->needs(of);
}

void StudyCommands::Add(CLI::App* app, CommonOptions* common, std::function<absl::Status()>* run) {
  CLI::App* study = app->add_subcommand(
      "study", "make a user study of a checkpoint's attributes as one HTML page, or score answers");
  AddCommonOptions(study, common);
  AddStudy(study, &study_);
  study->callback(
      [this, common, run] { *run = [=, this] { return StudyCommand(*common, study_); }; });

  CLI::App* world = app->add_subcommand(
      "world", "draw a data set of which the truth is known: faces from ten factors, or a mark");
  AddWorld(world, &world_);
  world->callback([this, run] { *run = [this] { return WorldCommand(world_); }; });

  CLI::App* truth = app->add_subcommand(
      "truth", "measure on a known world whether a checkpoint's attributes are true");
  AddCommonOptions(truth, common);
  AddTruth(truth, &truth_);
  truth->callback(
      [this, common, run] { *run = [=, this] { return TruthCommand(*common, truth_); }; });

  CLI::App* figures = app->add_subcommand(
      "figures", "draw a checkpoint's reconstructions and its attributes, moved both ways, as PNG");
  AddCommonOptions(figures, common);
  AddFigures(figures, &figures_);
  figures->callback(
      [this, common, run] { *run = [=, this] { return FiguresCommand(*common, figures_); }; });

  CLI::App* samples = app->add_subcommand(
      "samples", "draw images that a StyleGAN2 without encoder makes of seeded z's, as PNG");
  AddCommonOptions(samples, common);
  AddSamples(samples, &samples_);
  samples->callback(
      [this, common, run] { *run = [=, this] { return SamplesCommand(*common, samples_); }; });
}

}  // namespace stylex
