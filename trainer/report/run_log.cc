#include "trainer/report/run_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/file.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

constexpr size_t kLeastLines = 8;  // that a rate is taken over, where there are so many

std::string TextOf(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

LogLine FiguresOf(const Json& line) {
  LogLine read;
  absl::ParseTime(absl::RFC3339_full, TextOf(line, "time"), &read.time, nullptr);
  for (const auto& [name, value] : line.items()) {
    if (value.is_number() && name != "step" && name != "images_seen") {
      read.figures[name] = value.get<double>();
    }
  }
  const auto images = line.find("images_seen");
  read.at = images != line.end() && images->is_number() ? images->get<double>()
                                                        : line.at("step").get<double>();
  return read;
}

void AddLine(const Json& line, RunLog* log) {
  const std::string name = TextOf(line, "event");
  if (name == "note" || name == "warning") {
    (name == "note" ? log->notes : log->warnings).push_back(TextOf(line, "message"));
    return;
  }
  absl::string_view event = name;
  const bool check = absl::ConsumeSuffix(&event, "_validation");
  const auto step = line.find("step");
  if (event.empty() || step == line.end() || !step->is_number()) {
    return;
  }
  if (log->name.empty()) {
    log->name = std::string(event);
    log->counts_images = line.contains("images_seen");
  }
  if (event == log->name) {  // other commands may have worked in the same folder
    (check ? log->checks : log->steps).push_back(FiguresOf(line));
  }
}

void Sort(std::vector<LogLine>* lines) {
  std::stable_sort(lines->begin(), lines->end(),
                   [](const LogLine& a, const LogLine& b) { return a.at < b.at; });
}

}  // namespace

absl::Time RunLog::last() const {
  absl::Time last = absl::InfinitePast();
  for (const auto* lines : {&steps, &checks}) {
    for (const LogLine& line : *lines) {
      last = std::max(last, line.time);
    }
  }
  return last;
}

absl::StatusOr<RunLog> ReadRunLog(const std::string& work_directory) {
  const absl::StatusOr<std::string> text = ReadFile(work_directory + "/log.jsonl");
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat(
        work_directory, ": has no log.jsonl; the work directory of a training is wanted"));
  }
  if (!text.ok()) {
    return text.status();
  }
  RunLog log;
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const Json parsed = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    if (parsed.is_object()) {
      AddLine(parsed, &log);
    }
  }
  Sort(&log.steps);
  Sort(&log.checks);
  return log;
}

double ProgressPerSecond(const RunLog& log) {
  const size_t count = std::min(log.steps.size(), std::max(kLeastLines, log.steps.size() / 10));
  // A pause is many times as long as what usually lies between two lines.
  std::vector<double> gaps;
  for (size_t i = log.steps.size() - count + 1; i < log.steps.size(); ++i) {
    gaps.push_back(absl::ToDoubleSeconds(log.steps[i].time - log.steps[i - 1].time));
  }
  if (gaps.empty()) {
    return 0;
  }
  std::vector<double> sorted = gaps;
  std::sort(sorted.begin(), sorted.end());
  const double longest = std::max(1.0, 20 * sorted[sorted.size() / 2]);
  double images = 0, seconds = 0;
  for (size_t i = 0; i < gaps.size(); ++i) {
    const size_t line = log.steps.size() - gaps.size() + i;
    if (gaps[i] >= 0 && gaps[i] <= longest) {
      images += log.steps[line].at - log.steps[line - 1].at;
      seconds += gaps[i];
    }
  }
  return seconds > 0 ? images / seconds : 0;
}

}  // namespace stylex
