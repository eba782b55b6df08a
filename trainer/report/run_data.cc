#include "trainer/report/run_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "image/codec.h"
#include "trainer/report/figures.h"
#include "trainer/report/look.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

constexpr int kPngUpTo = 64;  // larger pictures are JPEG, a fifth of the size
constexpr int kQuality = 90;

// Six digits are more than a curve shows.
double Rounded(double value) {
  return value == 0 || !std::isfinite(value) ? 0 : std::stod(absl::StrFormat("%.6g", value));
}

std::string Uri(const Bitmap& picture) {
  const bool png = picture.width <= kPngUpTo;
  const absl::StatusOr<std::string> file = png ? EncodePng(picture) : EncodeJpeg(picture, kQuality);
  return absl::StrCat("data:image/", png ? "png" : "jpeg", ";base64,",
                      absl::Base64Escape(file.value_or("")));
}

Json UrisOf(const PictureRow& row, size_t most) {
  Json uris = Json::array();
  for (size_t i = 0; i < std::min(most, row.size()); ++i) {
    uris.push_back(Uri(row[i]));
  }
  return uris;
}

// [at, mean, least, greatest] of stretches of equal length.
Json PointsOf(const std::vector<std::pair<double, double>>& values) {
  const size_t bins = std::min(kCurvePoints, values.size());
  Json points = Json::array();
  for (size_t bin = 0; bin < bins; ++bin) {
    const size_t begin = bin * values.size() / bins, end = (bin + 1) * values.size() / bins;
    double sum = 0, least = values[begin].second, greatest = least;
    for (size_t i = begin; i < end; ++i) {
      sum += values[i].second;
      least = std::min(least, values[i].second);
      greatest = std::max(greatest, values[i].second);
    }
    points.push_back({values[end - 1].first, Rounded(sum / static_cast<double>(end - begin)),
                      Rounded(least), Rounded(greatest)});
  }
  return points;
}

Json WantedOf(const WantedBand& wanted) {
  if (!wanted.known()) {
    return nullptr;
  }
  Json json = {{"source", wanted.source}};
  json["from"] = std::isfinite(wanted.from) ? Json(wanted.from) : Json(nullptr);
  json["to"] = std::isfinite(wanted.to) ? Json(wanted.to) : Json(nullptr);
  return json;
}

// Whether a figure tells something of the run: of flips by a condition that the generator does not
// heed, and of what remains without it, nothing does.
bool Tells(const RunLog& log, const std::string& name) {
  return HeedsCondition(log) ||
         !(name.starts_with("flips_") || name == "agreement_without_condition");
}

void AddCurves(const RunLog& log, bool checks, Json* curves) {
  const std::vector<LogLine>& lines = checks ? log.checks : log.steps;
  std::set<std::string> names;
  for (const LogLine& line : lines) {
    for (const auto& [name, value] : line.figures) {
      if (Tells(log, name)) {
        names.insert(name);
      }
    }
  }
  for (const std::string& name : names) {
    std::vector<std::pair<double, double>> values;
    for (const LogLine& line : lines) {
      if (const auto found = line.figures.find(name); found != line.figures.end()) {
        values.emplace_back(line.at, found->second);
      }
    }
    const FigureMeaning meaning = MeaningOf(name, checks);
    curves->push_back({{"name", name},
                       {"check", checks},
                       {"label", meaning.label},
                       {"meaning", meaning.meaning},
                       {"share", meaning.share},
                       {"wanted", WantedOf(meaning.wanted)},
                       {"last", Rounded(values.back().second)},
                       {"points", PointsOf(values)}});
  }
}

// The looks whose figures are in the log: of others, a training that went back has not come to them
// again.
std::vector<int64_t> LoggedLooks(const ObservedRun& run) {
  std::set<int64_t> logged;
  for (const LogLine& line : run.log.checks) {
    logged.insert(static_cast<int64_t>(line.at));
  }
  std::vector<int64_t> looks = LooksIn(run.work_directory);
  std::erase_if(looks, [&](int64_t images) { return !logged.contains(images); });
  return looks;
}

void AddLook(const Look& look, bool reconstructs, Json* data) {
  Json entry = {{"at", look.images}};
  if (!reconstructs) {  // a plain StyleGAN2: pictures of the same z at every look
    entry["samples"] = UrisOf(look.pictures[0], 2 * kShownPhotographs);
  } else {
    if (!data->contains("photographs")) {
      (*data)["photographs"] = UrisOf(look.pictures[0], kShownPhotographs);
    }
    entry["reconstructions"] = UrisOf(look.pictures[1], kShownPhotographs);
    entry["runners_up"] = UrisOf(look.pictures[3], kShownPhotographs);
  }
  if (look.facts) {
    entry["facts"] = PhotographsJson(look.facts->shown, kShownPhotographs);
  }
  if (look.facts && !look.worst.empty()) {
    const size_t count = std::min(look.facts->worst.size(), kShownPhotographs);
    (*data)["worst"] = {{"at", look.images},
                        {"facts", PhotographsJson(look.facts->worst, count)},
                        {"photographs", UrisOf(look.worst[0], count)},
                        {"reconstructions", UrisOf(look.worst[1], count)}};
  }
  (*data)["looks"].push_back(std::move(entry));
}

void AddLooks(const ObservedRun& run, Json* data) {
  const std::vector<int64_t> looks = LoggedLooks(run);
  (*data)["looks"] = Json::array();
  (*data)["unreadable"] = Json::array();
  (*data)["looks_in_all"] = looks.size();
  const bool reconstructs = run.log.name != "stylegan2";
  (*data)["heeds"] = !reconstructs || HeedsCondition(run.log);
  for (const int64_t images : Thinned(looks, kShownLooks)) {
    const absl::StatusOr<Look> look =
        ReadLook(run.work_directory, images, /*worst=*/images == looks.back());
    if (look.ok()) {
      AddLook(*look, reconstructs, data);
    } else {
      (*data)["unreadable"].push_back(std::string(look.status().message()));
    }
  }
}

const char* NameOf(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kStopped:
      return "stopped";
    case RunState::kFinished:
      return "finished";
    case RunState::kFailed:
      return "failed";
  }
  return "";
}

std::string FolderName(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(path, error);
  return error ? path : whole.filename().string();
}

}  // namespace

std::vector<int64_t> Thinned(const std::vector<int64_t>& looks, size_t most) {
  if (looks.size() <= most || most < 2) {
    return looks;
  }
  std::vector<int64_t> kept;
  for (size_t i = 0; i < most; ++i) {
    kept.push_back(looks[i * (looks.size() - 1) / (most - 1)]);
  }
  return kept;
}

nlohmann::json RunData(const ObservedRun& run, absl::Time now) {
  const RunStatus status = StatusOf(run, now);
  Json data = {{"name", FolderName(run.work_directory)},
               {"kind", run.log.name},
               {"unit", run.log.counts_images ? "images" : "epochs"},
               {"state", NameOf(status.state)},
               {"sentence", status.sentence},
               {"at", status.at},
               {"of", status.of},
               {"rate", Rounded(status.rate)},
               {"left", std::round(status.left)},
               {"notes", run.log.notes},
               {"warnings", run.log.warnings},
               {"alarms", Json::array()},
               {"curves", Json::array()}};
  if (run.config) {
    data["description"] = run.config->model().description();
    data["resolution"] = run.config->model().resolution();
    data["look_every"] = run.config->stylex().sample_interval_images();
  }
  for (const Alarm& alarm : AlarmsOf(run, status)) {
    data["alarms"].push_back({{"words", alarm.words}, {"advice", alarm.advice}});
  }
  AddCurves(run.log, /*checks=*/true, &data["curves"]);
  AddCurves(run.log, /*checks=*/false, &data["curves"]);
  AddLooks(run, &data);
  return data;
}

}  // namespace stylex
