#include "trainer/report/run_status.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "trainer/report/figures.h"

namespace stylex {
namespace {

// Nothing is said of figures that a run has only begun to move.
constexpr double kEarly = 0.25;
constexpr double kLate = 0.5;
constexpr size_t kManyLooks = 5;  // where the length is not known
constexpr double kFewFlips = 0.5;
constexpr double kGoodAgreement = 0.95;
constexpr double kPoorAgreement = 0.9;
constexpr double kWorse = 1.15;       // of an L1, over the best one
constexpr double kHopeless = 0.1;     // loss_d where 19 of 20 pictures are told apart
constexpr double kNeverDrawn = 0.01;  // share of a class
constexpr absl::Duration kSilence = absl::Minutes(10);

// 12,345
std::string Number(double value) {
  std::string text = absl::StrCat(static_cast<int64_t>(value));
  for (size_t place = text.size(); place > 3; place -= 3) {
    text.insert(place - 3, ",");
  }
  return text;
}

std::string Percent(double share) { return absl::StrFormat("%.1f %%", 100 * share); }

std::string Span(double seconds) {
  const auto minutes = static_cast<int64_t>(std::ceil(seconds / 60));
  return minutes < 90 ? absl::StrCat(minutes, minutes == 1 ? " minute" : " minutes")
                      : absl::StrFormat("%.1f hours", seconds / 3600);
}

double LengthOf(const ObservedRun& run) {
  if (!run.config) {
    return 0;
  }
  return run.log.counts_images ? static_cast<double>(run.config->stylex().images())
                               : static_cast<double>(run.config->classifier().epochs());
}

// A run that says nothing for many times as long as usual has stopped, or hangs.
RunState StateByAge(const RunLog& log, absl::Time now) {
  const size_t count = log.steps.size();
  const absl::Duration usual =
      count < 2 ? absl::ZeroDuration()
                : (log.steps[count - 1].time - log.steps[count / 2].time) /
                      static_cast<int64_t>(std::max<size_t>(1, count - 1 - count / 2));
  return now - log.last() > std::max(kSilence, 5 * usual) ? RunState::kStopped : RunState::kRunning;
}

std::string SentenceOf(const RunLog& log, const RunStatus& status, absl::Time now) {
  std::string text;
  switch (status.state) {
    case RunState::kRunning:
      text = "Running";
      break;
    case RunState::kStopped:
      text = "Stopped";
      break;
    case RunState::kFinished:
      text = "Finished";
      break;
    case RunState::kFailed:
      text = "Failed";
      break;
  }
  absl::StrAppend(&text, ": ", Number(status.at));
  if (status.of > 0 && status.of > status.at) {
    absl::StrAppend(&text, " of ", Number(status.of));
  }
  absl::StrAppend(&text, log.counts_images ? " images" : " epochs");
  if (status.of > 0 && status.state != RunState::kFinished) {
    absl::StrAppendFormat(&text, " (%.0f %%)", 100 * status.at / status.of);
  }
  if (status.state == RunState::kRunning && status.left > 0) {
    absl::StrAppend(&text, ", about ", Span(status.left), " left");
  }
  if (status.state == RunState::kStopped) {
    const bool logged = log.last() > absl::InfinitePast();  // else it holds notes alone
    absl::StrAppend(
        &text,
        logged ? absl::StrCat("; the last line of the log was written ",
                              Span(absl::ToDoubleSeconds(now - log.last())), " before this page")
               : "",
        ". --resume goes on");
  }
  return text + ".";
}

// Mean of a figure over the last tenth of the steps that have it; NaN if too few do.
double LateMean(const RunLog& log, const std::string& name) {
  std::vector<double> values;
  for (const LogLine& line : log.steps) {
    if (const auto found = line.figures.find(name); found != line.figures.end()) {
      values.push_back(found->second);
    }
  }
  const size_t count = values.size() / 10;
  double sum = 0;
  for (size_t i = values.size() - count; i < values.size(); ++i) {
    sum += values[i];
  }
  return count == 0 ? std::nan("") : sum / static_cast<double>(count);
}

// Whether a run is beyond that share of its length.
bool Beyond(double share, const ObservedRun& run, const RunStatus& status) {
  return status.of > 0 ? status.at >= share * status.of : run.log.checks.size() >= kManyLooks;
}

void AddFlipAlarm(const ObservedRun& run, const LogLine& last, std::vector<Alarm>* alarms) {
  const double agreement = FigureOf(last, "agreement", 0);
  const double flips = FigureOf(last, "flips_by_its_ten_furthest", 1);
  if (agreement < kGoodAgreement || flips >= kFewFlips || !HeedsCondition(run.log)) {
    return;
  }
  const bool constant = run.config && run.config->stylex().constant_to_rgb();
  const bool swaps = run.config && run.config->stylex().swap_interval() > 0;
  alarms->push_back(
      {absl::StrCat("Agreement is high (", Percent(agreement), "), flips are few (", Percent(flips),
                    " by the ten coordinates that the condition moves furthest)."),
       absl::StrCat(constant
                        ? "The class is spread over many coordinates: "
                        : "The class may be drawn by colours, which explanations do not move: see "
                          "constantToRgb. Or it is spread over many coordinates: ",
                    swaps ? "more weight on swapSparsity makes them few."
                          : "see swapInterval and swapSparsity.",
                    " docs/training.md, When nothing flips.")});
}

void AddReconstructionAlarms(const ObservedRun& run, const RunStatus& status,
                             std::vector<Alarm>* alarms) {
  const LogLine& last = run.log.checks.back();
  const double agreement = FigureOf(last, "agreement", 1);
  if (agreement < kPoorAgreement && Beyond(kLate, run, status)) {
    alarms->push_back(
        {absl::StrCat("Only ", Percent(agreement),
                      " of the reconstructions are decided like their photographs."),
         "What the classifier goes by is not drawn, and attributes would explain something else. "
         "Look at the worst reconstructions below; more images, or more weight on kl and l2, may "
         "draw it. docs/results/ground_truth.md, Small details."});
  }
  const LogLine* best = &last;
  for (const LogLine& line : run.log.checks) {
    best = FigureOf(line, "l1", HUGE_VAL) < FigureOf(*best, "l1", HUGE_VAL) ? &line : best;
  }
  const double l1 = FigureOf(last, "l1", 0), least = FigureOf(*best, "l1", 0);
  if (l1 > kWorse * least) {
    alarms->push_back(
        {absl::StrFormat("Reconstructions were better after %s images: L1 %.3f, now %.3f.",
                         Number(best->at), least, l1),
         "This is expected for a while once the adversary begins (adversarialStart); otherwise "
         "lower learning rates, or less weight on the adversary."});
  }
}

void AddClassAlarms(const LogLine& last, std::vector<Alarm>* alarms) {
  for (const auto& [name, share] : last.figures) {
    if (absl::StartsWith(name, "share_") && share < kNeverDrawn) {
      alarms->push_back({absl::StrCat("The class ", name.substr(6), " is hardly ever drawn (",
                                      Percent(share), " of random pictures)."),
                         "Its attributes cannot be found. Train on, or with more of its images."});
    }
  }
}

void AddLogAlarms(const RunLog& log, std::vector<Alarm>* alarms) {
  for (const std::string& warning : log.warnings) {
    if (absl::StrContains(warning, "training diverged")) {
      alarms->push_back(
          {"The training diverged: " + warning + ".",
           "If it does so again: lower generatorLr, discriminatorLr and encoderLr, or "
           "a greater r1Gamma."});
    }
  }
  const double loss_d = LateMean(log, "loss_d");
  if (loss_d < kHopeless) {
    alarms->push_back(
        {absl::StrFormat("The discriminator tells drawn pictures from photographs nearly always "
                         "(loss_d %.3f over the last tenth).",
                         loss_d),
         "Its gradient teaches the generator little: a greater r1Gamma, or a lower "
         "discriminatorLr."});
  }
}

}  // namespace

RunStatus StatusOf(const ObservedRun& run, absl::Time now) {
  RunStatus status;
  const RunLog& log = run.log;
  for (const auto* lines : {&log.steps, &log.checks}) {
    if (!lines->empty()) {
      status.at = std::max(status.at, lines->back().at);
    }
  }
  status.of = LengthOf(run);
  status.rate = ProgressPerSecond(log);
  const bool complete = status.of > 0 && status.at >= status.of;
  status.state = run.state.value_or(complete ? RunState::kFinished : StateByAge(log, now));
  if (status.state == RunState::kRunning && status.rate > 0 && status.of > status.at) {
    status.left = (status.of - status.at) / status.rate;
  }
  status.sentence = SentenceOf(log, status, now);
  return status;
}

std::vector<Alarm> AlarmsOf(const ObservedRun& run, const RunStatus& status) {
  std::vector<Alarm> alarms;
  AddLogAlarms(run.log, &alarms);
  if (!run.log.checks.empty()) {
    if (Beyond(kEarly, run, status)) {
      AddFlipAlarm(run, run.log.checks.back(), &alarms);
      AddClassAlarms(run.log.checks.back(), &alarms);
    }
    AddReconstructionAlarms(run, status, &alarms);
  }
  return alarms;
}

}  // namespace stylex
