// Tables as comma-separated text (RFC 4180), as spreadsheets and survey forms export them.
#ifndef STYLEX_TRAINER_DATA_CSV_H_
#define STYLEX_TRAINER_DATA_CSV_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace stylex {

struct CsvTable {
  std::string origin;  // the file, for messages
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // each as long as the header

  // The column of that name, or -1.
  int64_t Find(absl::string_view name) const;
  // As Find; INVALID_ARGUMENT names the file and the missing column.
  absl::StatusOr<size_t> Column(absl::string_view name) const;
};

// The first record is the header. Quoted fields may hold commas, quotes (doubled) and line breaks;
// line ends are LF or CRLF; a byte order mark and blank lines are skipped. INVALID_ARGUMENT names
// `origin`, the line and the fault: an unclosed quote, text after a closing quote, a record whose
// length differs from the header's, no header at all.
absl::StatusOr<CsvTable> ParseCsv(absl::string_view text, const std::string& origin);

// ReadFile and ParseCsv.
absl::StatusOr<CsvTable> ReadCsv(const std::string& path);

// One record with its line end; fields are quoted where necessary.
std::string CsvLine(std::span<const std::string> fields);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_CSV_H_
