#include "trainer/data/csv.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

class CsvReader {
 public:
  CsvReader(absl::string_view text, const std::string& origin) : rest_(text), origin_(origin) {}

  bool AtEnd() const { return rest_.empty(); }
  int64_t line() const { return line_; }

  absl::StatusOr<std::vector<std::string>> Record() {
    std::vector<std::string> fields;
    while (true) {
      STYLEX_ASSIGN_OR_RETURN(std::string field, Field());
      fields.push_back(std::move(field));
      if (!absl::ConsumePrefix(&rest_, ",")) {
        break;
      }
    }
    absl::ConsumePrefix(&rest_, "\r");
    if (absl::ConsumePrefix(&rest_, "\n")) {
      ++line_;
    }
    return fields;
  }

  absl::Status Fault(absl::string_view fault) const {
    return absl::InvalidArgumentError(absl::StrCat(origin_, ": line ", line_, ": ", fault));
  }

 private:
  absl::StatusOr<std::string> Field() {
    if (!absl::ConsumePrefix(&rest_, "\"")) {
      const size_t length = std::min(rest_.find_first_of(",\r\n"), rest_.size());
      const std::string field(rest_.substr(0, length));
      rest_.remove_prefix(length);
      return field;
    }
    std::string field;
    while (true) {
      const size_t quote = rest_.find('"');
      if (quote == absl::string_view::npos) {
        return Fault("a quoted field is not closed");
      }
      const absl::string_view part = rest_.substr(0, quote);
      absl::StrAppend(&field, part);
      line_ += std::count(part.begin(), part.end(), '\n');
      rest_.remove_prefix(quote + 1);
      if (!absl::ConsumePrefix(&rest_, "\"")) {
        break;
      }
      field += '"';
    }
    if (!rest_.empty() && absl::string_view(",\r\n").find(rest_[0]) == absl::string_view::npos) {
      return Fault("text follows a quoted field; quotes within one are written twice");
    }
    return field;
  }

  absl::string_view rest_;
  const std::string& origin_;
  int64_t line_ = 1;
};

}  // namespace

int64_t CsvTable::Find(absl::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  return found == header.end() ? -1 : found - header.begin();
}

absl::StatusOr<size_t> CsvTable::Column(absl::string_view name) const {
  const int64_t column = Find(name);
  if (column < 0) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": has no column \"", name, "\""));
  }
  return static_cast<size_t>(column);
}

absl::StatusOr<CsvTable> ParseCsv(absl::string_view text, const std::string& origin) {
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  CsvReader reader(text, origin);
  CsvTable table;
  table.origin = origin;
  while (!reader.AtEnd()) {
    const int64_t line = reader.line();
    STYLEX_ASSIGN_OR_RETURN(std::vector<std::string> fields, reader.Record());
    if (fields.size() == 1 && fields[0].empty()) {
      continue;
    }
    if (table.header.empty()) {
      table.header = std::move(fields);
    } else if (fields.size() != table.header.size()) {
      return absl::InvalidArgumentError(absl::StrCat(origin, ": line ", line, ": has ",
                                                     fields.size(), " fields, the header has ",
                                                     table.header.size()));
    } else {
      table.rows.push_back(std::move(fields));
    }
  }
  if (table.header.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": is empty; expected a CSV file"));
  }
  return table;
}

absl::StatusOr<CsvTable> ReadCsv(const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseCsv(text, path);
}

std::string CsvLine(std::span<const std::string> fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ",");
    const bool quoted = fields[i].find_first_of(",\"\r\n") != std::string::npos;
    absl::StrAppend(
        &line, quoted ? absl::StrCat("\"", absl::StrReplaceAll(fields[i], {{"\"", "\"\""}}), "\"")
                      : fields[i]);
  }
  return line + "\n";
}

}  // namespace stylex
