#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "trainer/data/csv.h"
#include "trainer/data/dataset.h"
#include "trainer/data/random_order.h"
#include "trainer/study/truth/drawn_face.h"
#include "trainer/study/truth/label_rule.h"
#include "trainer/study/truth/planted_mark.h"
#include "trainer/study/truth/truth_dataset.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

constexpr std::array<Split, 2> kSplits = {Split::kTrain, Split::kValidation};
constexpr uint64_t kChosenImages = 51;
constexpr uint64_t kMarkedImages = 52;
constexpr uint64_t kCoins = 53;
constexpr double kMostDoubt = 10;

// Writes images and their factors; the data set is valid only once Finish has written both tables.
class DatasetWriter {
 public:
  DatasetWriter(std::string folder, const std::vector<std::string>& factors)
      : folder_(std::move(folder)) {
    std::vector<std::string> header = {"file", "label"};
    header.insert(header.end(), factors.begin(), factors.end());
    table_ = CsvLine(header);
  }

  absl::Status Begin(const std::vector<std::string>& labels) {
    if (fs::exists(fs::path(folder_) / "train")) {
      return absl::AlreadyExistsError(
          absl::StrCat(folder_, ": holds a data set already; name another --output"));
    }
    for (const Split split : kSplits) {
      for (const std::string& label : labels) {
        std::error_code error;
        fs::create_directories(fs::path(folder_) / NameOf(split) / label, error);
        if (error) {
          return absl::InternalError(absl::StrCat(folder_, ": ", error.message()));
        }
      }
    }
    return absl::OkStatus();
  }

  template <typename Values>
  absl::Status Add(Split split, int64_t number, const std::string& label, const Bitmap& bitmap,
                   const Values& values) {
    const std::string file = absl::StrFormat("%s/%s/%06d.png", NameOf(split), label, number);
    STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(bitmap));
    STYLEX_RETURN_IF_ERROR(WriteFileUnflushed(folder_ + "/" + file, png));
    std::vector<std::string> fields = {file, label};
    for (const double value : values) {
      fields.push_back(absl::StrFormat("%.17g", value));
    }
    table_ += CsvLine(fields);
    seen_.insert({split, label});
    return absl::OkStatus();
  }

  absl::Status Finish(nlohmann::json world, const std::vector<std::string>& labels) {
    for (const Split split : kSplits) {
      for (const std::string& label : labels) {
        if (!seen_.contains({split, label})) {
          return absl::FailedPreconditionError(absl::StrCat(folder_, "/", NameOf(split),
                                                            ": no image of class \"", label,
                                                            "\" came up; ask for more"));
        }
      }
    }
    sync();  // all images at once, before the tables say that they are there
    world["classes"] = labels;
    STYLEX_RETURN_IF_ERROR(WriteFileAtomic(folder_ + "/factors.csv", table_));
    return WriteFileAtomic(folder_ + "/world.json", world.dump(2) + "\n");
  }

 private:
  static const char* NameOf(Split split) { return split == Split::kTrain ? "train" : "val"; }

  std::string folder_;
  std::string table_;
  std::set<std::pair<Split, std::string>> seen_;
};

absl::StatusOr<std::vector<int64_t>> ClassNumbers(const Dataset& dataset,
                                                  const std::vector<std::string>& names) {
  std::vector<int64_t> numbers;
  for (const std::string& name : names) {
    const auto& labels = dataset.labels();
    const auto found = std::find(labels.begin(), labels.end(), name);
    if (found == labels.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "there is no class \"", name, "\"; the data set has ", absl::StrJoin(labels, ", ")));
    }
    numbers.push_back(found - labels.begin());
  }
  if (numbers.size() != 2 || numbers[0] == numbers[1]) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::StrJoin(names, ","), ": two different classes are needed"));
  }
  return numbers;
}

// Images of one class, in the seed's order.
std::vector<int64_t> ImagesOf(const Dataset& dataset, Split split, int64_t label, uint64_t seed) {
  std::vector<int64_t> images;
  for (const int64_t i : EpochOrder(dataset.size(split), SeedFor(seed, 0, kChosenImages), 0)) {
    if (dataset.label(split, i) == label) {
      images.push_back(i);
    }
  }
  return images;
}

}  // namespace

absl::Status WriteFaces(const WorldDatasetOptions& options, const std::string& rule_text) {
  STYLEX_ASSIGN_OR_RETURN(const WorldRule rule, ParseWorldRule(rule_text));
  if (!(options.correlation >= 0 && options.correlation <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the correlation is ", options.correlation, "; expected 0 to 1"));
  }
  if (!(options.doubt >= 0 && options.doubt <= kMostDoubt)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the doubt is ", options.doubt, "; expected 0 to ", kMostDoubt));
  }
  const std::vector<std::string> labels = {"no", "yes"};
  std::vector<std::string> names;
  for (const WorldFactor& factor : kWorldFactorList) {
    names.emplace_back(factor.name);
  }
  DatasetWriter writer(options.output, names);
  STYLEX_RETURN_IF_ERROR(writer.Begin(labels));
  for (int64_t i = 0; i < options.train + options.validation; ++i) {
    const WorldFactors factors = SampleWorld(options.seed, i, options.correlation);
    const uint64_t coin = SeedFor(options.seed, static_cast<uint64_t>(i), kCoins);
    const int label =
        rule.none() ? static_cast<int>(coin % 2)
                    : rule.Label(factors, options.doubt, static_cast<double>(coin >> 11) * 0x1p-53);
    STYLEX_RETURN_IF_ERROR(writer.Add(i < options.train ? Split::kTrain : Split::kValidation, i,
                                      labels[static_cast<size_t>(label)],
                                      DrawWorld(factors, options.resolution), factors));
  }
  return writer.Finish({{"kind", "faces"},
                        {"resolution", options.resolution},
                        {"channels", 3},
                        {"seed", options.seed},
                        {"rule", rule_text},
                        {"correlation", options.correlation},
                        {"doubt", options.doubt}},
                       labels);
}

absl::Status WritePlantedMark(const WorldDatasetOptions& options, const PlantedMarkOptions& mark) {
  if (!(mark.rho >= 0 && mark.rho <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("rho is ", mark.rho, "; expected 0 to 1"));
  }
  if (!(mark.side > 0 && mark.side <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the mark's side is ", mark.side, " of the picture's; expected up to 0.5"));
  }
  DatasetOptions reading;
  reading.resolution = options.resolution;
  reading.channels = LooksLikeIdx(mark.source) ? 1 : 3;
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> source, OpenDataset(mark.source, reading));
  STYLEX_ASSIGN_OR_RETURN(const std::vector<int64_t> classes, ClassNumbers(*source, mark.classes));
  // Class folders are sorted by name; the numeric prefixes keep the requested order.
  const std::vector<std::string> labels = {"0-" + mark.classes[0], "1-" + mark.classes[1]};
  DatasetWriter writer(options.output, {"mark"});
  STYLEX_RETURN_IF_ERROR(writer.Begin(labels));
  for (const Split split : kSplits) {
    const int64_t wanted = split == Split::kTrain ? options.train : options.validation;
    std::array<std::vector<int64_t>, 2> images;
    for (size_t k = 0; k < 2; ++k) {
      images[k] = ImagesOf(*source, split, classes[k], options.seed);
    }
    const int64_t count = std::min({static_cast<int64_t>(images[0].size()),
                                    static_cast<int64_t>(images[1].size()), wanted / 2});
    for (size_t k = 0; k < 2; ++k) {
      const double share = k == 1 ? (1 + mark.rho) / 2 : (1 - mark.rho) / 2;
      const int64_t marked = std::llround(share * static_cast<double>(count));
      const std::vector<int64_t> order =
          EpochOrder(count, SeedFor(options.seed, k, kMarkedImages), 0);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t index = images[k][static_cast<size_t>(i)];
        const double strength = order[static_cast<size_t>(i)] < marked ? 1 : 0;
        STYLEX_ASSIGN_OR_RETURN(const Bitmap bitmap, source->Load(split, index));
        STYLEX_RETURN_IF_ERROR(writer.Add(split, index, labels[k],
                                          WithMark(bitmap, strength, mark.side),
                                          std::array<double, 1>{strength}));
      }
    }
  }
  return writer.Finish({{"kind", "mark"},
                        {"resolution", options.resolution},
                        {"channels", reading.channels},
                        {"seed", options.seed},
                        {"source", mark.source},
                        {"rho", mark.rho},
                        {"mark_side", mark.side}},
                       labels);
}

}  // namespace stylex
