#include "trainer/report/look.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "image/codec.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

constexpr int kRows = 4;
constexpr int kWorstRows = 2;
constexpr int64_t kMostPixels = int64_t{1} << 28;  // 16 columns of 4096 pixels

Json DecisionJson(const LookedDecision& decision) {
  return {{"label", decision.label}, {"probability", decision.probability}};
}

// These throw what nlohmann_json throws for a missing value, or one of another kind.
LookedDecision DecisionOf(const Json& json) {
  return {json.at("label").get<std::string>(), json.at("probability").get<double>()};
}

std::vector<LookedPhotograph> PhotographsOf(const Json& list) {
  std::vector<LookedPhotograph> photographs;
  for (const Json& one : list) {
    photographs.push_back({one.at("name").get<std::string>(), one.at("l1").get<double>(),
                           DecisionOf(one.at("photograph")), DecisionOf(one.at("reconstruction")),
                           one.at("runner_up").get<std::string>(),
                           DecisionOf(one.at("drawn_otherwise"))});
  }
  return photographs;
}

// Nothing if there is no file, or one of another version.
std::optional<LookFacts> ReadLookFacts(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  try {
    const Json json = Json::parse(text.value_or(""));
    return LookFacts{PhotographsOf(json.at("shown")), PhotographsOf(json.at("worst"))};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

absl::StatusOr<std::vector<PictureRow>> ReadSheet(const std::string& path, int rows) {
  STYLEX_ASSIGN_OR_RETURN(const std::string png, ReadFile(path));
  auto cut = [&]() -> absl::StatusOr<std::vector<PictureRow>> {
    STYLEX_ASSIGN_OR_RETURN(const Bitmap sheet, DecodeImage(png, {.max_pixels = kMostPixels}));
    return CutPictureSheet(sheet, rows);
  }();
  return cut.ok()
             ? std::move(cut)
             : absl::Status(cut.status().code(), absl::StrCat(path, ": ", cut.status().message()));
}

}  // namespace

nlohmann::json PhotographsJson(const std::vector<LookedPhotograph>& photographs, size_t most) {
  Json list = Json::array();
  for (size_t i = 0; i < std::min(most, photographs.size()); ++i) {
    const LookedPhotograph& one = photographs[i];
    list.push_back({{"name", one.name},
                    {"l1", one.l1},
                    {"photograph", DecisionJson(one.photograph)},
                    {"reconstruction", DecisionJson(one.reconstruction)},
                    {"runner_up", one.runner_up},
                    {"drawn_otherwise", DecisionJson(one.drawn_otherwise)}});
  }
  return list;
}

std::string LookPath(const std::string& work_directory, int64_t images, const std::string& kind,
                     const std::string& extension) {
  return absl::StrFormat("%s/samples/%09d%s%s", work_directory, images, kind, extension);
}

absl::Status WriteLookFacts(const LookFacts& facts, const std::string& work_directory,
                            int64_t images) {
  const Json json = {{"images", images},
                     {"shown", PhotographsJson(facts.shown, facts.shown.size())},
                     {"worst", PhotographsJson(facts.worst, facts.worst.size())}};
  return WriteFileUnflushed(LookPath(work_directory, images, "", ".json"),
                            json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::vector<int64_t> LooksIn(const std::string& work_directory) {
  std::vector<int64_t> looks;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(work_directory + "/samples", error)) {
    int64_t images = 0;
    if (entry.path().extension() == ".png" &&
        absl::SimpleAtoi(entry.path().stem().string(), &images)) {
      looks.push_back(images);
    }
  }
  std::sort(looks.begin(), looks.end());
  return looks;
}

absl::StatusOr<Look> ReadLook(const std::string& work_directory, int64_t images, bool worst) {
  Look look{.images = images, .pictures = {}, .worst = {}, .facts = {}};
  STYLEX_ASSIGN_OR_RETURN(look.pictures, ReadSheet(LookPath(work_directory, images), kRows));
  look.facts = ReadLookFacts(LookPath(work_directory, images, "", ".json"));
  if (worst) {
    look.worst = ReadSheet(LookPath(work_directory, images, "-worst"), kWorstRows)
                     .value_or(std::vector<PictureRow>());
  }
  return look;
}

}  // namespace stylex
