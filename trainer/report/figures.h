// What the figures of a run mean, and which values one wants.
#ifndef STYLEX_TRAINER_REPORT_FIGURES_H_
#define STYLEX_TRAINER_REPORT_FIGURES_H_

#include <limits>
#include <string>
#include <string_view>

#include "trainer/report/run_log.h"

namespace stylex {

// The values that a healthy run ends with.
struct WantedBand {
  double from = -std::numeric_limits<double>::infinity();
  double to = std::numeric_limits<double>::infinity();
  std::string source;  // who says so; empty: nobody, any value may be right

  bool known() const { return !source.empty(); }
  bool holds(double value) const { return value >= from && value <= to; }
};

struct FigureMeaning {
  std::string label;    // "agreement"
  std::string meaning;  // a sentence; empty for figures that are not known here
  bool share = false;   // between 0 and 1, told in percent
  WantedBand wanted;
};

// Of a figure on validation images (`check`) or one of a step, as the log calls it. Wanted are the
// values that docs/training.md lists under "Healthy figures".
FigureMeaning MeaningOf(std::string_view name, bool check);

// Whether the run's generator heeds the class condition: without it as many reconstructions agree,
// at every look, and nothing flips by it.
bool HeedsCondition(const RunLog& log);

// A figure of a line, or `otherwise`.
double FigureOf(const LogLine& line, const std::string& name, double otherwise);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_FIGURES_H_
