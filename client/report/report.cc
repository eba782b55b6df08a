#include "client/report/report.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/html.h"
#include "base/status_macros.h"
#include "client/report/change.h"
#include "client/report/facts.h"
#include "client/report/resources.h"
#include "client/report/truth_table.h"
#include "image/codec.h"

namespace stylex {
namespace {

// The script stands behind the pictures of so many photographs, and shows them while the rest is
// read.
constexpr size_t kPicturesFirst = 16;

std::string Policy() {
  return absl::StrCat(
      "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src ",
      PolicySource(kReportStyle), "; script-src ", PolicySource(kReportScript));
}

absl::StatusOr<std::string> OverviewElement(const ReportInputs& inputs) {
  nlohmann::json overview = OverviewOf(inputs);
  STYLEX_ASSIGN_OR_RETURN(const std::string scale, EncodePng(DrawMapScale()));
  overview["legend"]["picture"] = DataUri(scale);
  overview["photographs"] = inputs.facts;
  return absl::StrCat("<script type=\"application/json\" id=\"overview\">", ToPageJson(overview),
                      "</script>\n");
}

absl::Status WritePictures(const PictureSource& pictures, size_t begin, size_t end,
                           std::ostream* page) {
  for (size_t i = begin; i < end; ++i) {
    STYLEX_ASSIGN_OR_RETURN(const std::string json, pictures(i));
    *page << "<script type=\"application/json\" id=\"pictures-" << i << "\">" << json
          << "</script>\n";
  }
  return absl::OkStatus();
}

// Writes the template, with what stands for each of its {{names}}.
absl::Status WritePage(const ReportInputs& inputs, const PictureSource& pictures,
                       std::ostream* page) {
  STYLEX_ASSIGN_OR_RETURN(const std::string overview, OverviewElement(inputs));
  const std::map<std::string_view, std::string> texts = {
      {"policy", Policy()},
      {"generator", "stylex " STYLEX_VERSION},
      {"title",
       absl::StrCat("Why ", EscapeHtml(inputs.model.summary().name()), " decides as it does")},
      {"style", std::string(kReportStyle)},
      {"script", std::string(kReportScript)},
      {"truth", TruthTable(inputs.model)},
      {"overview", overview}};
  const size_t count = inputs.facts.size();
  const size_t first = std::min(count, kPicturesFirst);
  std::string_view rest = kReportTemplate;
  for (size_t open = rest.find("{{"); open != std::string_view::npos; open = rest.find("{{")) {
    const size_t close = rest.find("}}", open);
    const std::string_view name = rest.substr(open + 2, close - open - 2);
    *page << rest.substr(0, open);
    if (name == "first_pictures") {
      STYLEX_RETURN_IF_ERROR(WritePictures(pictures, 0, first, page));
    } else if (name == "more_pictures") {
      STYLEX_RETURN_IF_ERROR(WritePictures(pictures, first, count, page));
    } else {
      *page << texts.at(name);
    }
    rest.remove_prefix(close + 2);
  }
  *page << rest;
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteReport(const ReportInputs& inputs, const PictureSource& pictures,
                         const std::string& path) {
  const std::string part = path + ".part";
  absl::Status status;
  {
    std::ofstream page(part, std::ios::binary | std::ios::trunc);
    status = WritePage(inputs, pictures, &page);
    page.close();
    if (status.ok() && !page) {
      status = absl::PermissionDeniedError(absl::StrCat(path, ": cannot be written"));
    }
  }
  if (status.ok() && std::rename(part.c_str(), path.c_str()) != 0) {
    status = absl::PermissionDeniedError(
        absl::StrCat(path, ": cannot be written: ", std::strerror(errno)));
  }
  if (!status.ok()) {
    std::remove(part.c_str());
  }
  return status;
}

}  // namespace stylex
