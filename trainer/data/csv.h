// Tables as comma-separated text, RFC 4180: what spreadsheets and survey forms write.
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
  // The same; INVALID_ARGUMENT names the file and the column that it lacks.
  absl::StatusOr<size_t> Column(absl::string_view name) const;
};

// The first record is the header. Quoted fields may hold commas, quotes (doubled) and line breaks;
// line ends are LF or CRLF; a byte order mark and blank lines are passed over. INVALID_ARGUMENT
// names `origin`, the line and the fault: an unclosed quote, text after a closing one, a record of
// another length than the header, no header at all.
absl::StatusOr<CsvTable> ParseCsv(absl::string_view text, const std::string& origin);

// ReadFile and ParseCsv.
absl::StatusOr<CsvTable> ReadCsv(const std::string& path);

// One record with its line end, quoted where it must be.
std::string CsvLine(std::span<const std::string> fields);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_CSV_H_
