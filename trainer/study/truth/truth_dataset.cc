#include "trainer/study/truth/truth_dataset.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "image/bitmap.h"
#include "trainer/data/csv.h"
#include "trainer/study/truth/drawn_face.h"
#include "trainer/study/truth/face_fit.h"
#include "trainer/study/truth/label_rule.h"
#include "trainer/study/truth/planted_mark.h"

namespace stylex {
namespace {

WorldFactors ToFactors(const std::vector<double>& values) {
  WorldFactors factors{};
  std::copy(values.begin(), values.end(), factors.begin());
  return factors;
}

class Faces : public KnownWorld {
 public:
  explicit Faces(const WorldRule& rule) {
    for (size_t j = 0; j < kWorldFactors; ++j) {
      const WorldFactor& factor = kWorldFactorList[j];
      factors_.push_back({std::string(factor.name), WorldDeviation(j), factor.binary ? 0.0 : 0.1,
                          factor.binary ? 1.0 : 0.9, rule.signs[j]});
    }
  }
  Bitmap Intervene(const Bitmap& image, const std::vector<double>& values, size_t factor,
                   double value) const override {
    WorldFactors changed = ToFactors(values);
    changed[factor] = value;
    return DrawWorld(changed, image.width);
  }
  Reading Read(const Bitmap& image, const std::vector<double>& guess) const override {
    const WorldReading reading = ReadWorld(image, ToFactors(guess));
    return {{reading.factors.begin(), reading.factors.end()}, reading.residual};
  }
};

class MarkedPhotographs : public KnownWorld {
 public:
  MarkedPhotographs(double rho, double side) : side_(side) {
    factors_ = {{"mark", 0.5, 0, 1, rho > 0 ? 1 : 0}};
  }
  Bitmap Intervene(const Bitmap& image, const std::vector<double>&, size_t,
                   double value) const override {
    return WithMark(image, value, side_);
  }
  Reading Read(const Bitmap& image, const std::vector<double>&) const override {
    return {{ReadMark(image, side_)}, 0};
  }
  std::optional<Bitmap> Undo(const Bitmap& before, const Bitmap& after, size_t) const override {
    return WithMarkOf(before, after, side_);
  }

 private:
  const double side_;
};

absl::StatusOr<std::unique_ptr<KnownWorld>> MakeWorld(const nlohmann::json& world,
                                                      const std::string& path) {
  const std::string kind = world.at("kind");
  if (kind == "faces") {
    STYLEX_ASSIGN_OR_RETURN(const WorldRule rule,
                            ParseWorldRule(world.at("rule").get<std::string>()));
    return std::make_unique<Faces>(rule);
  }
  if (kind == "mark") {
    return std::make_unique<MarkedPhotographs>(world.at("rho").get<double>(),
                                               world.value("mark_side", kMarkSide));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": kind is \"", kind, "\"; expected faces or mark"));
}

absl::StatusOr<std::map<std::string, std::vector<double>>> ReadValues(
    const std::string& path, const std::vector<KnownWorld::Factor>& factors) {
  STYLEX_ASSIGN_OR_RETURN(const CsvTable table, ReadCsv(path));
  STYLEX_ASSIGN_OR_RETURN(const size_t file, table.Column("file"));
  std::vector<size_t> columns;
  for (const KnownWorld::Factor& factor : factors) {
    STYLEX_ASSIGN_OR_RETURN(columns.emplace_back(), table.Column(factor.name));
  }
  std::map<std::string, std::vector<double>> values;
  for (const std::vector<std::string>& row : table.rows) {
    std::vector<double> of_row(factors.size());
    for (size_t j = 0; j < factors.size(); ++j) {
      const std::string& text = row[columns[j]];
      if (!absl::SimpleAtod(text, &of_row[j]) || !(of_row[j] >= 0 && of_row[j] <= 1)) {
        return absl::InvalidArgumentError(absl::StrCat(path, ": ", row[file], " has ",
                                                       factors[j].name, " \"", text,
                                                       "\"; expected a number from 0 to 1"));
      }
    }
    values[row[file]] = std::move(of_row);
  }
  return values;
}

}  // namespace

std::vector<int> KnownWorld::signs() const {
  std::vector<int> signs;
  for (const Factor& factor : factors_) {
    signs.push_back(factor.sign);
  }
  return signs;
}

absl::StatusOr<std::vector<double>> KnownWorld::ValuesOf(const std::string& image_path) const {
  const std::string name =
      std::filesystem::path(image_path).lexically_relative(folder_).generic_string();
  const auto found = values_.find(name);
  if (found == values_.end()) {
    return absl::NotFoundError(absl::StrCat(folder_, "/factors.csv: has no row for ", image_path));
  }
  return found->second;
}

absl::StatusOr<std::unique_ptr<KnownWorld>> OpenKnownWorld(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/world.json");
  STYLEX_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::unique_ptr<KnownWorld> world;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    STYLEX_ASSIGN_OR_RETURN(world, MakeWorld(json, path));
    world->resolution_ = json.at("resolution").get<int>();
    world->channels_ = json.at("channels").get<int>();
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not what `stylex-train world` writes: ", error.what()));
  }
  world->folder_ = folder;
  STYLEX_ASSIGN_OR_RETURN(world->values_, ReadValues(folder + "/factors.csv", world->factors_));
  return world;
}

}  // namespace stylex
