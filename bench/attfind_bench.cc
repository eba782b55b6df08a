// Speed of AttFind, compared in one run: the loop of the published notebook, the same loop batched,
// the exhaustive engine and the screened one; and the attainable speed of this machine.
#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "bench/photographs.h"
#include "explain/effects.h"
#include "explain/image_variants.h"
#include "explain/screening.h"
#include "models/checkpoint.h"
#include "models/cpu/folded_mobilenet.h"
#include "models/device.h"
#include "models/networks/layers.h"
#include "trainer/commands/opening.h"

namespace stylex {
namespace {

constexpr int64_t kPlainBatch = 32;

struct Options {
  std::string checkpoint;
  std::string data;
  int64_t images = 256;
  int64_t exhaustive_images = 2;
  int64_t literal_step = 4;
  int64_t target = 0;
  uint64_t seed = 1;
  double deviations = ScreeningOptions().deviations;
  int threads = 0;
  bool growth = false;
  bool json = false;
};

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The input of the search: a model, ranges, and the styles of `images` images that are not decided
// as `target`.
struct Subject {
  Stylex model;
  StyleRanges ranges;
  StyleVectors styles;
};

// Untrained networks of the usual 64x64 shape, which need the same computation as trained ones.
Stylex RandomModel() {
  v1::ModelConfig config;
  config.set_resolution(64);
  config.set_image_channels(3);
  for (const char* label : {"a", "b"}) {
    config.add_labels(label);
  }
  for (const int channels : {128, 128, 128, 64, 32}) {
    config.mutable_generator()->add_channels(channels);
    config.mutable_encoder()->add_channels(channels);
  }
  config.mutable_generator()->set_latent_size(128);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  Networks networks = Networks::Make(config);
  networks.SetTrainable(false);
  config.mutable_classifier()->set_architecture("mobilenet_v2");
  config.mutable_classifier()->set_width_multiplier(0.5);
  const MobileNetV2 classifier(3, 2, config.classifier().width_multiplier());
  return Stylex(config, networks, MakeMobileNetClassifier(classifier, 0.01));
}

StyleVectors RandomStyles(const Stylex& model, int64_t count) {
  torch::Tensor w = torch::randn({count, model.w_size()});
  const int64_t condition = ConditionSize(model.config());
  w.narrow(1, w.size(1) - condition, condition) =
      torch::softmax(torch::randn({count, condition}) * 3, 1);
  return model.Styles(w);
}

absl::StatusOr<Subject> MakeSubject(const Options& options) {
  // Reads more images than needed, because those already decided as the target are left out.
  const int64_t looked_at = 2 * options.images + 16;
  std::optional<Stylex> model;
  StyleRanges ranges;
  if (options.checkpoint.empty()) {
    model = RandomModel();
    StyleRangeAccumulator accumulator;
    accumulator.Add(RandomStyles(*model, 1000).conv);
    ranges = accumulator.Finish();
  } else {
    absl::StatusOr<Checkpoint> checkpoint = LoadCheckpoint(options.checkpoint);
    if (!checkpoint.ok()) {
      return checkpoint.status();
    }
    if (!checkpoint->attributes) {
      return absl::FailedPreconditionError(options.checkpoint + " has no attribute index");
    }
    model = checkpoint->model;
    ranges = RangesFromIndex(*checkpoint->attributes);
  }
  if (options.target >= model->num_classes()) {
    return absl::InvalidArgumentError("--target is not a class of the model");
  }
  absl::StatusOr<StyleVectors> styles = options.data.empty()
                                            ? RandomStyles(*model, looked_at)
                                            : StylesOfPhotographs(*model, options.data, looked_at);
  if (!styles.ok()) {
    return styles.status();
  }
  std::vector<torch::Tensor> decided;
  for (int64_t start = 0; start < styles->conv.size(0); start += kPlainBatch) {
    const int64_t length = std::min(kPlainBatch, styles->conv.size(0) - start);
    decided.push_back(model->LogitsOfStyles(styles->Narrow(start, length)).argmax(1));
  }
  const torch::Tensor others = torch::cat(decided).ne(options.target).nonzero().squeeze(1);
  const int64_t count = std::min(options.images, others.size(0));
  return Subject{*model, ranges, styles->Select(others.narrow(0, 0, count))};
}

// Plain passes of a few images are often faster on one thread than on all.
struct PlainSeconds {
  double all_threads, one_thread;
  double best() const { return std::min(all_threads, one_thread); }
};
PlainSeconds OnAllAndOnOneThread(const std::function<double()>& measure) {
  const int all = at::get_num_threads();
  PlainSeconds seconds = {};
  seconds.all_threads = measure();
  torch::set_num_threads(1);
  seconds.one_thread = measure();
  torch::set_num_threads(all);
  return seconds;
}

void Print(const char* name, const PlainSeconds& seconds, const std::string& compared) {
  std::printf("  %s %9.3f   %s(%.3f on all threads, %.3f on one)\n", name, seconds.best(),
              compared.c_str(), seconds.all_threads, seconds.one_thread);
}

// By the generator's own pass, not by prepared weights.
torch::Tensor PlainImages(const Stylex& model, const StyleVectors& styles) {
  return model.networks().generator.ptr()->synthesize(styles, Noise::kFixed).clamp(-1, 1);
}

// (a): one coordinate, one direction, one whole pass of plain operators at a time. Extrapolated
// from every `literal_step`-th move. Seconds per image.
double Literal(const Subject& subject, const Options& options) {
  const std::vector<Coordinate> moves = AllMoves(subject.ranges.size());
  int64_t done = 0;
  const double seconds = Seconds([&] {
    for (size_t i = 0; i < moves.size(); i += static_cast<size_t>(options.literal_step), ++done) {
      const Move move{moves[i], 1};
      const StyleVectors styles =
          ApplyMoves(subject.styles.Narrow(0, 1), subject.ranges, std::span(&move, 1));
      subject.model.classifier().LogitsAndFeatures(PlainImages(subject.model, styles));
    }
  });
  return seconds * static_cast<double>(moves.size()) / static_cast<double>(done);
}

// (b): the same passes, many coordinates per batch. Seconds per image.
double Batched(const Subject& subject, const Options& options) {
  const std::vector<Coordinate> moves = AllMoves(subject.ranges.size());
  return Seconds([&] {
           for (int64_t n = 0; n < options.exhaustive_images; ++n) {
             for (size_t start = 0; start < moves.size(); start += kPlainBatch) {
               const int64_t length =
                   std::min<int64_t>(kPlainBatch, static_cast<int64_t>(moves.size() - start));
               StyleVectors styles = subject.styles.Narrow(n, 1).Expand(length);
               styles.conv = styles.conv.clone();
               for (int64_t i = 0; i < length; ++i) {
                 const Coordinate& move = moves[start + static_cast<size_t>(i)];
                 styles.conv[i][move.index] = subject.ranges.Extreme(move);
               }
               subject.model.classifier().LogitsAndFeatures(PlainImages(subject.model, styles));
             }
           }
         }) /
         static_cast<double>(options.exhaustive_images);
}

// (c). Seconds per image, the best of a few runs, like the bare convolutions, because other
// programs run on the machine.
double Exhaustive(const Subject& subject, const Options& options) {
  double best = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 3; ++repeat) {
    best = std::min(best, Seconds([&] {
                      ComputeEffects(subject.model,
                                     subject.styles.Narrow(0, options.exhaustive_images),
                                     subject.ranges, {})
                          .value();
                    }));
  }
  return best / static_cast<double>(options.exhaustive_images);
}

// The computation of (c) per image: rank-one updates, the layers above them, the classifier.
struct Work {
  double multiply_adds = 0;
  // Number of runs of each convolution per image.
  std::vector<double> runs;
};
Work WorkOf(const Stylex& model) {
  Work work;
  const std::vector<SynthesisPlan::Conv>& convs = model.Plan()->convs();
  work.runs.resize(convs.size());
  double variants = 0;
  for (size_t l = 0; l < convs.size(); ++l) {
    const double pixels = static_cast<double>(convs[l].in_side * convs[l].in_side);
    const double whole = 9.0 * pixels * static_cast<double>(convs[l].in * convs[l].out);
    work.runs[l] = variants;
    work.multiply_adds += variants * whole + whole;  // one input channel for each coordinate
    variants += 2.0 * static_cast<double>(convs[l].in);
  }
  const v1::ModelConfig& config = model.config();
  // The computation of a TorchScript classifier is unknown and not counted.
  if (config.classifier().architecture() == "mobilenet_v2") {
    const MobileNetV2 network(config.image_channels(), model.num_classes(),
                              config.classifier().width_multiplier());
    work.multiply_adds +=
        variants *
        static_cast<double>(
            FoldedMobileNet(*network, 1).MultiplyAdds(config.resolution(), config.resolution()));
  }
  return work;
}

// Multiply-adds per second of LibTorch's bare convolutions on this network's shapes, in parallel on
// all cores, weighted by how much of each (c) needs.
double AttainableRate(const Stylex& model, const Work& work) {
  double multiply_adds = 0, seconds = 0;
  const std::vector<SynthesisPlan::Conv>& convs = model.Plan()->convs();
  for (size_t l = 0; l < convs.size(); ++l) {
    const SynthesisPlan::Conv& conv = convs[l];
    const int64_t threads = at::get_num_threads();
    const torch::Tensor weight =
        torch::randn(conv.up ? at::IntArrayRef({9 * conv.out, conv.in, 1, 1})
                             : at::IntArrayRef({conv.out, conv.in, 3, 3}))
            .contiguous(torch::MemoryFormat::ChannelsLast);
    const torch::Tensor x = torch::randn({kPlainBatch, conv.in, conv.in_side, conv.in_side})
                                .contiguous(torch::MemoryFormat::ChannelsLast);
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
      best = std::min(best, Seconds([&] {
                        at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
                          const torch::NoGradGuard no_grad;
                          for (int64_t i = begin; i < end; ++i) {
                            InferenceConv2d(x, weight, {}, conv.up ? 0 : 1);
                          }
                        });
                      }));
    }
    const double one = best / static_cast<double>(threads * kPlainBatch);
    multiply_adds += work.runs[l] * 9.0 * static_cast<double>(conv.in_side * conv.in_side) *
                     static_cast<double>(conv.in * conv.out);
    seconds += work.runs[l] * one;
  }
  return multiply_adds / seconds;
}

// Seconds that (c) takes for `images` images and every `step`-th coordinate.
struct Point {
  int64_t images, coordinates;
  double seconds;
};
Point Measure(const Subject& subject, int64_t images, int64_t step) {
  std::vector<Coordinate> moves;
  for (const Coordinate& move : AllMoves(subject.ranges.size())) {
    if (move.index % step == 0) {
      moves.push_back(move);
    }
  }
  Point point{images, static_cast<int64_t>(moves.size()) / 2, 1e9};
  for (int repeat = 0; repeat < 3; ++repeat) {  // the best: others compute on this machine too
    point.seconds = std::min(point.seconds, Seconds([&] {
                               for (int64_t n = 0; n < images; ++n) {
                                 LogitsAfterSingleMoves(subject.model, subject.styles.Narrow(n, 1),
                                                        subject.ranges, moves, {})
                                     .value();
                               }
                             }));
  }
  return point;
}

// Growth of the cost of (c) with the number of images (all coordinates) and of coordinates, as one
// JSON object.
absl::Status Growth(const Subject& subject) {
  const auto to_json = [](const Point& point) {
    return nlohmann::json{
        {"images", point.images}, {"coordinates", point.coordinates}, {"seconds", point.seconds}};
  };
  Measure(subject, 1, 1);  // warms up
  nlohmann::json result;
  for (int64_t images = 1; images <= std::min<int64_t>(16, subject.styles.conv.size(0));
       images *= 2) {
    result["images"].push_back(to_json(Measure(subject, images, 1)));
  }
  for (int64_t step = 16; step >= 1; step /= 2) {
    result["coordinates"].push_back(to_json(Measure(subject, 4, step)));
  }
  std::printf("%s\n", result.dump().c_str());
  return absl::OkStatus();
}

// Seconds per image of each way, and what the fastest found.
struct Times {
  PlainSeconds literal, batched;  // (a), (b)
  double exhaustive, screened;    // (c), (d)
  double computed, attainable;    // multiply-adds per second: by (c), by bare convolutions
  ScreenedSelection selection;    // of (d)
  int64_t coordinates = 0, images = 0;
  double calls() const {
    return static_cast<double>(selection.classifier_calls) / static_cast<double>(images);
  }
  // Calls of the exhaustive search for one of the screened.
  double calls_ratio() const { return static_cast<double>(2 * coordinates + 1) / calls(); }
};

absl::StatusOr<Times> MeasureAll(const Subject& subject, const Options& options) {
  Times times;
  times.coordinates = subject.ranges.size();
  times.images = subject.styles.conv.size(0);
  const Work work = WorkOf(subject.model);
  Exhaustive(subject, options);  // warms up caches, pages and oneDNN's kernels
  times.literal = OnAllAndOnOneThread([&] { return Literal(subject, options); });
  times.batched = OnAllAndOnOneThread([&] { return Batched(subject, options); });
  times.exhaustive = Exhaustive(subject, options);
  times.computed = work.multiply_adds / times.exhaustive;
  times.attainable = AttainableRate(subject.model, work);
  ScreeningOptions screening;
  screening.seed = options.seed;
  screening.deviations = options.deviations;
  absl::StatusOr<ScreenedSelection> found;
  times.screened = Seconds([&] {
                     found = SelectAttributesScreened(subject.model, subject.styles, subject.ranges,
                                                      options.target, screening);
                   }) /
                   static_cast<double>(times.images);
  if (!found.ok()) {
    return found.status();
  }
  times.selection = *std::move(found);
  return times;
}

void Report(const Times& times) {
  const double literal = times.literal.best(), batched = times.batched.best();
  std::printf("%lld coordinates, two directions; %d threads; seconds an image:\n",
              static_cast<long long>(times.coordinates), at::get_num_threads());
  Print("(a) literal, one at a time ", times.literal, "");
  Print("(b) batched, whole passes  ", times.batched,
        absl::StrFormat("%6.1f x (a)   ", literal / batched));
  std::printf("  (c) exhaustive engine       %9.3f   %6.1f x (a)   %5.2f x (b)\n", times.exhaustive,
              literal / times.exhaustive, batched / times.exhaustive);
  std::printf(
      "  (d) screened, %4lld images   %9.3f   %6.1f x (a)   %5.1f classifier calls, %.1f x "
      "fewer\n",
      static_cast<long long>(times.images), times.screened, literal / times.screened, times.calls(),
      times.calls_ratio());
  std::printf(
      "(c) computes %.1f GFLOP/s of %.1f that bare convolutions of these shapes reach: "
      "%.0f %%\n",
      2e-9 * times.computed, 2e-9 * times.attainable, 100 * times.computed / times.attainable);
  std::printf(
      "(d) %zu attributes; probability that they are (c)'s %.3f; audit: %lld pruned moves "
      "evaluated, %lld should not have been pruned\n",
      times.selection.attributes.size(), times.selection.confidence,
      static_cast<long long>(times.selection.audited),
      static_cast<long long>(times.selection.audit_misses));
}

void ReportAsJson(const Times& times) {
  const double literal = times.literal.best();
  const nlohmann::json result = {{"exhaustive_vs_literal", literal / times.exhaustive},
                                 {"exhaustive_vs_batched", times.batched.best() / times.exhaustive},
                                 {"screened_vs_literal", literal / times.screened},
                                 {"classifier_calls_ratio", times.calls_ratio()},
                                 {"roofline_fraction", times.computed / times.attainable}};
  std::printf("%s\n", result.dump().c_str());
}

absl::Status Run(const Options& options) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(options.seed);
  if (const auto device = ChooseDevice("cpu", options.threads); !device.ok()) {
    return device.status();
  }
  absl::StatusOr<Subject> subject = MakeSubject(options);
  if (!subject.ok()) {
    return subject.status();
  }
  if (options.growth) {
    return Growth(*subject);
  }
  if (subject->styles.conv.size(0) < options.exhaustive_images) {
    return absl::InvalidArgumentError("too few images are decided otherwise than the target");
  }
  const absl::StatusOr<Times> times = MeasureAll(*subject, options);
  if (!times.ok()) {
    return times.status();
  }
  Report(*times);
  if (options.json) {
    ReportAsJson(*times);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  CLI::App app(
      "times AttFind's engines against the literal loop, on one model and the same images");
  stylex::Options options;
  app.add_option("CHECKPOINT", options.checkpoint,
                 "version folder; without one, untrained networks of 128,128,128,64,32 channels at "
                 "64x64");
  app.add_option(
      "--data", options.data,
      "photographs (IDX files or class folders), of which the validation split is taken; "
      "without, random latents");
  app.add_option("--images", options.images, "images of the screened search")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--exhaustive-images", options.exhaustive_images, "images of (b) and (c)")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--literal-step", options.literal_step,
                 "(a) times every so many moves of an image")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--target", options.target, "class that the search is for")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--deviations", options.deviations, "(d): when a move is left out")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--threads", options.threads, "0: all cores")->capture_default_str();
  app.add_flag("--growth", options.growth,
               "instead: seconds for more and more images and coordinates, as one JSON object");
  app.add_flag("--json", options.json, "ends with one JSON object");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = stylex::Run(options);
  if (!status.ok()) {
    std::fprintf(stderr, "attfind_bench: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
