#include "trainer/study/user_study/score.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "explain/metrics.h"

namespace stylex {
namespace {

// 'A', 'B', '\0' for nothing, '?' for anything else.
char ReadAnswer(absl::string_view text) {
  const std::string answer = absl::AsciiStrToUpper(absl::StripAsciiWhitespace(text));
  if (answer.empty()) {
    return '\0';
  }
  return answer == "A" || answer == "B" ? answer[0] : '?';
}

absl::Status AddToKey(const std::string& number, const std::string& answer,
                      const std::string& attribute, const std::string& origin, StudyKey* key) {
  const size_t expected = key->answers.size() + 1;
  size_t found = 0;
  if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(number), &found) || found != expected) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": \"", number,
                                                   "\" stands where question ", expected,
                                                   " should; expected 1, 2, 3, ..."));
  }
  const char letter = ReadAnswer(answer);
  if (letter != 'A' && letter != 'B') {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ": question ", expected, " has the answer \"",
                     absl::StripAsciiWhitespace(answer), "\"; expected A or B"));
  }
  key->answers.push_back(letter);
  key->attributes.push_back(attribute);
  return absl::OkStatus();
}

absl::StatusOr<StudyKey> ParseKeyTable(const std::string& text, const std::string& origin) {
  StudyKey key;
  STYLEX_ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(text, origin));
  STYLEX_ASSIGN_OR_RETURN(const size_t question, table.Column("question"));
  STYLEX_ASSIGN_OR_RETURN(const size_t answer, table.Column("answer"));
  STYLEX_ASSIGN_OR_RETURN(const size_t attribute, table.Column("attribute"));
  const int64_t study = table.Find("study");
  for (const std::vector<std::string>& row : table.rows) {
    STYLEX_RETURN_IF_ERROR(AddToKey(row[question], row[answer], row[attribute], origin, &key));
    if (study >= 0) {
      key.study = row[static_cast<size_t>(study)];
    }
  }
  return key;
}

absl::StatusOr<StudyKey> ParseKeyLines(const std::string& text, const std::string& origin,
                                       int64_t questions_per_attribute) {
  StudyKey key;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() != 2) {
      return absl::InvalidArgumentError(
          absl::StrCat(origin, ": \"", line,
                       "\" is no line of a key; expected NUMBER: LETTER, or a CSV file with the "
                       "columns question, answer and attribute"));
    }
    const int64_t attribute =
        static_cast<int64_t>(key.answers.size()) / questions_per_attribute + 1;
    STYLEX_RETURN_IF_ERROR(AddToKey(parts[0], parts[1], absl::StrCat(attribute), origin, &key));
  }
  return key;
}

void Count(bool right, StudyItem* item) {
  ++item->answered;
  item->right += right ? 1 : 0;
}

StudyItem* ItemOf(const std::string& name, std::vector<StudyItem>* items) {
  const auto found = std::find_if(items->begin(), items->end(),
                                  [&](const StudyItem& item) { return item.name == name; });
  return found != items->end() ? &*found : &items->emplace_back(StudyItem{name});
}

absl::Status CheckStudy(const StudyKey& key, const CsvTable& sheet) {
  const int64_t column = sheet.Find("Study");
  if (column < 0 || key.study.empty()) {
    return absl::OkStatus();
  }
  for (const std::vector<std::string>& row : sheet.rows) {
    if (const std::string& study = row[static_cast<size_t>(column)]; study != key.study) {
      return absl::InvalidArgumentError(absl::StrCat(sheet.origin, ": has answers to study ", study,
                                                     ", but the key is of study ", key.study));
    }
  }
  return absl::OkStatus();
}

absl::Status AddSheet(const StudyKey& key, const CsvTable& sheet, StudyScore* score) {
  STYLEX_RETURN_IF_ERROR(CheckStudy(key, sheet));
  for (size_t q = 0; q < key.answers.size(); ++q) {
    STYLEX_ASSIGN_OR_RETURN(const size_t column, sheet.Column(absl::StrCat("Question ", q + 1)));
    StudyItem* const attribute = ItemOf(key.attributes[q], &score->attributes);
    for (size_t r = 0; r < sheet.rows.size(); ++r) {
      const char answer = ReadAnswer(sheet.rows[r][column]);
      if (answer == '?') {
        return absl::InvalidArgumentError(
            absl::StrCat(sheet.origin, ": row ", r + 1, " answers question ", q + 1, " with \"",
                         sheet.rows[r][column], "\"; expected A, B or nothing"));
      }
      if (answer == '\0') {
        ++score->unanswered;
        continue;
      }
      Count(answer == key.answers[q], &score->questions[q]);
      Count(answer == key.answers[q], attribute);
    }
  }
  if (sheet.Find(absl::StrCat("Question ", key.answers.size() + 1)) >= 0) {
    return absl::InvalidArgumentError(absl::StrCat(sheet.origin, ": has more questions than the ",
                                                   key.answers.size(), " of the key"));
  }
  score->participants += static_cast<int64_t>(sheet.rows.size());
  return absl::OkStatus();
}

void AppendItem(const StudyItem& item, std::string* text) {
  const Interval interval = WilsonInterval(item.right, item.answered);
  absl::StrAppendFormat(text, "  %-24s %.3f  [%.3f, %.3f]  %d of %d\n", item.name, item.share(),
                        interval.low, interval.high, item.right, item.answered);
}

}  // namespace

absl::StatusOr<StudyKey> ParseStudyKey(const std::string& text, const std::string& origin,
                                       int64_t questions_per_attribute) {
  const bool table = absl::StrContains(text.substr(0, text.find('\n')), "question");
  STYLEX_ASSIGN_OR_RETURN(StudyKey key, table
                                            ? ParseKeyTable(text, origin)
                                            : ParseKeyLines(text, origin, questions_per_attribute));
  if (key.answers.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": is a key without questions"));
  }
  return key;
}

absl::StatusOr<StudyScore> ScoreStudy(const StudyKey& key, std::span<const CsvTable> sheets) {
  StudyScore score;
  for (size_t q = 0; q < key.answers.size(); ++q) {
    score.questions.push_back({absl::StrCat("Question ", q + 1)});
  }
  for (const CsvTable& sheet : sheets) {
    STYLEX_RETURN_IF_ERROR(AddSheet(key, sheet, &score));
  }
  if (score.participants == 0) {
    return absl::InvalidArgumentError("the answer sheets have no rows: there is nothing to score");
  }
  double squares = 0;
  int64_t counted = 0;
  for (const StudyItem& question : score.questions) {
    if (question.answered > 0) {
      score.mean += question.share();
      squares += question.share() * question.share();
      ++counted;
    }
  }
  if (counted == 0) {
    return absl::InvalidArgumentError("every answer is blank: there is nothing to score");
  }
  score.mean /= static_cast<double>(counted);
  score.deviation =
      std::sqrt(std::max(0.0, squares / static_cast<double>(counted) - score.mean * score.mean));
  return score;
}

std::string StudyScoreText(const StudyScore& score) {
  std::string text = absl::StrFormat(
      "%.4f +- %.4f: mean and standard deviation over %d questions, %d participants, chance 0.5\n",
      score.mean, score.deviation, score.questions.size(), score.participants);
  if (score.unanswered > 0) {
    absl::StrAppend(&text, score.unanswered, " answers are blank and left out\n");
  }
  absl::StrAppend(&text, "attribute, share right, 95 % Wilson interval\n");
  for (const StudyItem& item : score.attributes) {
    AppendItem(item, &text);
  }
  absl::StrAppend(&text, "question\n");
  for (const StudyItem& item : score.questions) {
    AppendItem(item, &text);
  }
  return text;
}

}  // namespace stylex
