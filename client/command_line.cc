#include "client/command_line.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/exceptions.h"
#include "client/commands.h"
#include "client/interrupt.h"

namespace stylex {
namespace {

using Runner = std::function<absl::Status()>;

void AddInspecting(CLI::App* app, const ConnectionOptions& connection, ExplainOptions* paths,
                   std::string* output, Runner* run) {
  app->add_subcommand("models", "list the server's models")->callback([&connection, run] {
    *run = [&connection] { return ModelsCommand(connection); };
  });
  CLI::App* classify = app->add_subcommand("classify", "ask the explained classifier");
  classify->add_option("images", paths->paths, "files or folders")->required();
  classify->callback([&connection, paths, run] {
    *run = [&connection, paths] { return ClassifyCommand(connection, paths->paths); };
  });
  CLI::App* encode = app->add_subcommand("encode", "encode an image into latent and styles");
  encode->add_option("image", paths->paths, "file")->required()->expected(1);
  encode->add_option("--output", *output, "EncodeResponse in protobuf's binary form");
  encode->callback([&connection, paths, output, run] {
    *run = [&connection, paths, output] {
      return EncodeCommand(connection, paths->paths.front(), *output);
    };
  });
}

void AddPictures(CLI::App* app, const ConnectionOptions& connection, ReconstructOptions* redraw,
                 TraverseOptions* walk, Runner* run) {
  CLI::App* reconstruct = app->add_subcommand("reconstruct", "draw an image again, with edits");
  reconstruct->add_option("image", redraw->path, "file")->required();
  reconstruct->add_option("--edit", redraw->edits,
                          "INDEX:SHIFT, INDEX:SHIFT:min|max or NAME:SHIFT");
  reconstruct->add_flag("--local", redraw->local, "only where the edits change it most");
  reconstruct->add_option("--output", redraw->output, "PNG file")->capture_default_str();
  reconstruct->callback([&connection, redraw, run] {
    *run = [&connection, redraw] { return ReconstructCommand(connection, *redraw); };
  });
  CLI::App* traverse = app->add_subcommand("traverse", "move one attribute from end to end");
  traverse->add_option("image", walk->path, "file")->required();
  traverse->add_option("--attribute", walk->attribute, "INDEX, INDEX:min, INDEX:max or its name")
      ->required();
  traverse->add_option("--steps", walk->steps, "frames")->capture_default_str();
  traverse->add_option("--from", walk->from, "first frame's shift")->capture_default_str();
  traverse->add_option("--to", walk->to, "last frame's shift")->capture_default_str();
  traverse->add_flag("--local", walk->local, "only where the move changes it most");
  traverse->add_option("--output", walk->output, "GIF file")->capture_default_str();
  traverse->callback([&connection, walk, run] {
    *run = [&connection, walk] { return TraverseCommand(connection, *walk); };
  });
}

void AddSearch(CLI::App* app, const ConnectionOptions& connection, SearchOptions* search,
               Runner* run) {
  CLI::App* attributes =
      app->add_subcommand("attributes", "find the attributes that raise a class");
  attributes->add_option("images", search->paths, "files or folders; none: the stored index");
  attributes->add_option("--target", search->target, "class id or label")->required();
  attributes->add_option("--source", search->source, "only images decided as this class");
  attributes->add_option("--strategy", search->strategy)
      ->check(CLI::IsMember({"independent", "subset"}));
  attributes->add_option("--search", search->search)
      ->check(CLI::IsMember({"exhaustive", "screened"}));
  attributes->add_option("--max", search->max_attributes)->capture_default_str();
  attributes->add_option("--shift", search->shift, "1: to the extreme");
  attributes->add_option("--threshold", search->threshold, "logits");
  attributes->callback([&connection, search, run] {
    *run = [&connection, search] { return SearchCommand(connection, *search); };
  });
}

void AddExplain(CLI::App* app, const ConnectionOptions& connection, ExplainOptions* options,
                Runner* run) {
  CLI::App* explain = app->add_subcommand(
      "explain",
      "find counterfactuals: one HTML report, JSON, CSV, PNG and GIF files, contact sheets");
  explain->add_option("images", options->paths, "files or folders, with those below")->required();
  explain->add_option("--target", options->target, "class id or label; default: the runner-up");
  explain->add_option("--max-attributes", options->max_attributes)->capture_default_str();
  explain->add_option("--shift", options->shift, "1: to the extreme");
  explain->add_option("--probability", options->probability,
                      "to be reached by the target, 0: just flips; default: the server's");
  explain->add_option("--certify", options->certify,
                      "try every smaller set of this many strongest attributes; up to 16");
  explain->add_option("--attribute", options->attributes,
                      "that may be moved: INDEX, INDEX:min, INDEX:max or its name; again for more");
  explain->add_option("--frames", options->frames, "pictures of each moved attribute, 0: none")
      ->check(CLI::IsMember({0, 3, 5, 9, 17, 33}))
      ->capture_default_str();
  explain->add_option("--calls", options->calls, "in flight at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  explain->add_flag("--afresh", options->afresh, "explain again what an earlier run has done");
  explain->add_flag("--whole", options->whole,
                    "show all of the change, not only where it is greatest");
  explain->add_option("--limit", options->limit, "at most this many images");
  explain->add_option("--output", options->output, "folder")->capture_default_str();
  explain->callback([&connection, options, run] {
    *run = [&connection, options] { return ExplainCommand(connection, *options); };
  });
}

void AddConnection(CLI::App* app, ConnectionOptions* connection) {
  app->add_option("--server", connection->server, "HOST:PORT")
      ->envname("STYLEX_SERVER")
      ->capture_default_str();
  app->add_option("--model", connection->model, "NAME or NAME/VERSION")->envname("STYLEX_MODEL");
  app->add_option("--timeout", connection->timeout_seconds, "seconds a call may take")
      ->check(CLI::NonNegativeNumber)
      ->check([](const std::string& text) {
        double seconds = 0;
        return absl::SimpleAtod(text, &seconds) && std::isfinite(seconds)
                   ? std::string()
                   : absl::StrCat(text, " is no number of seconds");
      });
  app->add_option("--tls-ca", connection->tls_ca,
                  "certificate (PEM) that signed the server's: turns TLS on")
      ->envname("STYLEX_TLS_CA");
  CLI::Option* certificate =
      app->add_option("--tls-cert", connection->tls_certificate,
                      "certificate chain (PEM) of this client, for servers that want one")
          ->envname("STYLEX_TLS_CERT");
  CLI::Option* key = app->add_option("--tls-key", connection->tls_key, "its private key (PEM)")
                         ->envname("STYLEX_TLS_KEY")
                         ->needs(certificate);
  certificate->needs(key);
  app->add_option("--token-file", connection->token_file,
                  "file whose first line is the bearer token for the server")
      ->envname("STYLEX_TOKEN_FILE");
  app->add_flag("--json", connection->json, "answers as JSON on stdout, one a line");
}

}  // namespace

int ClientMain(int argc, char** argv) {
  CLI::App app{"Explains an image classifier's decisions through a StylEx server."};
  app.set_version_flag("--version", STYLEX_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("stylex: ") + error.what() + " (see stylex --help)\n";
  });
  ConnectionOptions connection;
  AddConnection(&app, &connection);
  Runner run;
  ExplainOptions explain;
  std::string encode_output;
  ReconstructOptions reconstruct;
  TraverseOptions traverse;
  SearchOptions search;
  AddInspecting(&app, connection, &explain, &encode_output, &run);
  AddPictures(&app, connection, &reconstruct, &traverse, &run);
  AddSearch(&app, connection, &search, &run);
  AddExplain(&app, connection, &explain, &run);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = WithoutExceptions(run);
  if (!status.ok()) {
    std::fprintf(stderr, "stylex: %s: %s\n", absl::StatusCodeToString(status.code()).c_str(),
                 std::string(status.message()).c_str());
  }
  return ExitCodeOf(status);
}

}  // namespace stylex
