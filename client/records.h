// A cache of finished explanations in the output folder: a second run goes on where the first
// stopped, and the report of thousands of images is put together from files.
#ifndef STYLEX_CLIENT_RECORDS_H_
#define STYLEX_CLIENT_RECORDS_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "image/bitmap.h"

namespace stylex {

// One explained photograph, as it is kept.
struct Record {
  std::string key;          // of the input and of all that was asked; another key is another answer
  nlohmann::json facts;     // see client/report/facts.h
  nlohmann::json pictures;  // ditto
  std::string answer;       // the server's, of ToJson without a path
  std::vector<std::string> files;  // of its pictures, in the output folder
};

// The files `FOLDER/records/NAME.json` and `.png`. Thread-safe for different names.
class Records {
 public:
  // Makes the folder.
  static absl::StatusOr<Records> Open(const std::string& output);

  // The record of that name and key; none if there is none, if it is broken or of another key, or
  // if one of its files is gone.
  std::optional<Record> Find(const std::string& name, const std::string& key) const;
  // Writes a record and its row of the contact sheet, whole or not at all.
  absl::Status Write(const std::string& name, const Record& record, const Bitmap& row) const;
  // The pictures of a written record.
  absl::StatusOr<nlohmann::json> Pictures(const std::string& name) const;
  // The row of a written record.
  absl::StatusOr<Bitmap> Row(const std::string& name) const;

 private:
  explicit Records(const std::string& output) : output_(output), folder_(output + "/records") {}
  std::string PathOf(const std::string& name, const char* extension) const;
  absl::StatusOr<nlohmann::json> Read(const std::string& name) const;

  std::string output_;
  std::string folder_;
};

}  // namespace stylex

#endif  // STYLEX_CLIENT_RECORDS_H_
