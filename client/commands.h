// The subcommands of `stylex`, one function each. Failures of single files are printed and the
// other files are still processed; the status then tells how many failed.
#ifndef STYLEX_CLIENT_COMMANDS_H_
#define STYLEX_CLIENT_COMMANDS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/call.h"

namespace stylex {

// "3" -> class_id, anything else -> label; "#…" is always a label, for labels that are numeric.
v1::ClassSelector ParseClass(const std::string& text);

// "INDEX" or "INDEX:min" or "INDEX:max". Names: see attribute_names.h.
absl::StatusOr<v1::Attribute> ParseAttribute(const std::string& text);

// "INDEX:SHIFT" or "INDEX:SHIFT:min|max".
absl::StatusOr<v1::StyleEdit> ParseEdit(const std::string& text);

// Lists the models: name, version, state, classes.
absl::Status ModelsCommand(const ConnectionOptions& connection);
// Classifies images (files or folders of them), one call for each.
absl::Status ClassifyCommand(const ConnectionOptions& connection,
                             const std::vector<std::string>& paths);
// Prints an image's decision; writes the serialized EncodeResponse to `output` unless that is
// empty.
absl::Status EncodeCommand(const ConnectionOptions& connection, const std::string& path,
                           const std::string& output);

struct ReconstructOptions {
  std::string path;
  std::vector<std::string> edits;
  bool local = false;  // only where the edits change it most
  std::string output = "reconstruction.png";
};
// Writes the reconstruction of an image.
absl::Status ReconstructCommand(const ConnectionOptions& connection,
                                const ReconstructOptions& options);

struct TraverseOptions {
  std::string path;
  std::string attribute;
  int steps = 9;
  double from = 0;
  double to = 1;
  bool local = false;  // only where the move changes it most
  std::string output = "traverse.gif";
};
// Writes a GIF of an image while one style coordinate moves.
absl::Status TraverseCommand(const ConnectionOptions& connection, const TraverseOptions& options);

struct SearchOptions {
  std::vector<std::string> paths;  // none: the stored index
  std::string target;
  std::string source;
  std::string strategy;  // "", "independent" or "subset"
  std::string search;    // "", "exhaustive" or "screened"
  int max_attributes = 10;
  double shift = 0;
  double threshold = 0;
};
// Has the server find the attributes of a class, and prints them.
absl::Status SearchCommand(const ConnectionOptions& connection, const SearchOptions& options);

struct ExplainOptions {
  std::vector<std::string> paths;
  std::string target;
  int max_attributes = 10;
  double shift = 0;
  std::optional<double> probability;    // none: the server's default
  int certify = 0;                      // candidates of the certificate of minimality; 0: none
  std::vector<std::string> attributes;  // that may be moved, by index or name; none: any
  bool whole = false;                   // changes wherever the moves do, not where they do most
  int frames = 9;                       // pictures of each moved attribute, 0: none
  int calls = 4;                        // in flight at once
  bool afresh = false;                  // explains again what an earlier run has done
  int limit = 0;
  std::string output = "explanation";
};
// Explains images, in subfolders too: a folder with pictures, GIFs, contact sheets, report.html,
// report.json and report.csv. Goes on where an earlier run stopped; ended by SIGINT or SIGTERM it
// writes the report of what is there.
absl::Status ExplainCommand(const ConnectionOptions& connection, const ExplainOptions& options);

}  // namespace stylex

#endif  // STYLEX_CLIENT_COMMANDS_H_
