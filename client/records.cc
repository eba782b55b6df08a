#include "client/records.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/image_files.h"
#include "image/codec.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

bool IsRecord(const Json& json) {
  return json.is_object() && json.contains("key") && json["key"].is_string() &&
         json.contains("facts") && json["facts"].is_object() && json.contains("pictures") &&
         json["pictures"].is_object() && json.contains("answer") && json["answer"].is_string() &&
         json.contains("files") && json["files"].is_array();
}

}  // namespace

absl::StatusOr<Records> Records::Open(const std::string& output) {
  Records records(output);
  STYLEX_RETURN_IF_ERROR(MakeFolder(records.folder_));
  return records;
}

std::string Records::PathOf(const std::string& name, const char* extension) const {
  return absl::StrCat(folder_, "/", name, extension);
}

absl::StatusOr<Json> Records::Read(const std::string& name) const {
  STYLEX_ASSIGN_OR_RETURN(const std::string text, ReadFile(PathOf(name, ".json")));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!IsRecord(json)) {
    return absl::DataLossError(absl::StrCat(PathOf(name, ".json"), ": is no whole record"));
  }
  return json;
}

std::optional<Record> Records::Find(const std::string& name, const std::string& key) const {
  absl::StatusOr<Json> json = Read(name);
  if (!json.ok() || (*json)["key"] != key || !Row(name).ok()) {
    return std::nullopt;
  }
  std::vector<std::string> files;
  for (const Json& name_of_file : (*json)["files"]) {
    std::error_code error;
    if (!name_of_file.is_string() ||
        !std::filesystem::exists(
            absl::StrCat(output_, "/", name_of_file.get_ref<const std::string&>()), error)) {
      return std::nullopt;
    }
    files.push_back(name_of_file);
  }
  return Record{.key = key,
                .facts = std::move((*json)["facts"]),
                .pictures = std::move((*json)["pictures"]),
                .answer = (*json)["answer"],
                .files = std::move(files)};
}

absl::Status Records::Write(const std::string& name, const Record& record,
                            const Bitmap& row) const {
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(row));
  STYLEX_RETURN_IF_ERROR(WriteFileUnflushed(PathOf(name, ".png"), png));
  const Json json = {{"key", record.key},
                     {"facts", record.facts},
                     {"pictures", record.pictures},
                     {"answer", record.answer},
                     {"files", record.files}};
  return WriteFileUnflushed(PathOf(name, ".json"),
                            json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

absl::StatusOr<Json> Records::Pictures(const std::string& name) const {
  STYLEX_ASSIGN_OR_RETURN(Json json, Read(name));
  return std::move(json["pictures"]);
}

absl::StatusOr<Bitmap> Records::Row(const std::string& name) const {
  STYLEX_ASSIGN_OR_RETURN(const std::string png, ReadFile(PathOf(name, ".png")));
  return DecodeImage(png);
}

}  // namespace stylex
