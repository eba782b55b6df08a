#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/commands.h"
#include "client/image_files.h"
#include "client/interrupt.h"
#include "client/report/explanation.h"

namespace stylex {
namespace {

absl::Status FillRequest(const ConnectionOptions& connection, const SearchOptions& options,
                         v1::FindAttributesRequest* request) {
  request->set_model(connection.model);
  *request->mutable_target_class() = ParseClass(options.target);
  if (!options.source.empty()) {
    *request->mutable_source_class() = ParseClass(options.source);
  }
  if (options.strategy == "independent") {
    request->set_strategy(v1::STRATEGY_INDEPENDENT);
  } else if (options.strategy == "subset") {
    request->set_strategy(v1::STRATEGY_SUBSET);
  }
  if (options.search == "exhaustive") {
    request->set_search(v1::SEARCH_EXHAUSTIVE);
  } else if (options.search == "screened") {
    request->set_search(v1::SEARCH_SCREENED);
  }
  request->set_max_attributes(options.max_attributes);
  request->set_shift(options.shift);
  request->set_threshold(options.threshold);
  if (!options.paths.empty()) {
    STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> files, ListImages(options.paths));
    for (const std::string& file : files) {
      STYLEX_ASSIGN_OR_RETURN(*request->add_images(), LoadImage(file));
    }
  }
  return absl::OkStatus();
}

// The label of a class; "class 3" where the server does not tell.
std::string LabelOf(const ConnectionOptions& connection, v1::ExplanationService::Stub* stub,
                    const v1::AttributeSearchResult& result) {
  const absl::StatusOr<v1::Model> model = DescribeModel(connection, stub, result.model());
  const int id = result.target_class_id();
  return model.ok() && id >= 0 && id < model->summary().labels_size() ? model->summary().labels(id)
                                                                      : absl::StrCat("class ", id);
}

void PrintResult(const std::string& label, const v1::AttributeSearchResult& result) {
  std::printf("%d attributes towards %s, %d images%s\n", result.attributes_size(), label.c_str(),
              result.images(), result.from_index() ? " (stored index)" : "");
  std::printf("  coordinate  layer  channel  direction  mean effect  flips alone  name\n");
  for (const v1::Attribute& attribute : result.attributes()) {
    std::printf(
        "  %10d  %5d  %7d  %9s  %11.3f  %9.1f %%  %s\n", attribute.index(), attribute.layer(),
        attribute.channel(), attribute.direction() == v1::DIRECTION_TO_MIN ? "to min" : "to max",
        attribute.mean_effect(), 100 * attribute.flip_rate(), AttributeText(attribute).c_str());
  }
}

}  // namespace

absl::Status SearchCommand(const ConnectionOptions& connection, const SearchOptions& options) {
  v1::FindAttributesRequest request;
  STYLEX_RETURN_IF_ERROR(FillRequest(connection, options, &request));
  grpc::ClientContext context;
  SetDeadline(connection, 600, &context);
  const Interrupt interrupt({SIGINT}, [&context] { context.TryCancel(); });
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  const auto reader = stub->FindAttributes(&context, request);
  const bool terminal = isatty(STDERR_FILENO) == 1;
  v1::FindAttributesResponse response;
  v1::AttributeSearchResult result;
  while (reader->Read(&response)) {
    if (response.has_result()) {
      result = response.result();
    } else if (terminal) {
      std::fprintf(stderr, "\r\033[K%lld of %lld evaluations, %.0f s left",
                   static_cast<long long>(response.progress().done()),
                   static_cast<long long>(response.progress().total()),
                   response.progress().seconds_left());
    }
  }
  const grpc::Status status = reader->Finish();
  if (terminal) {
    std::fprintf(stderr, "\r\033[K");
  }
  STYLEX_RETURN_IF_ERROR(WithAdvice(connection, ToStatus(status)));
  if (connection.json) {
    PrintJson(result);
  } else {
    PrintResult(LabelOf(connection, stub.get(), result), result);
  }
  return absl::OkStatus();
}

}  // namespace stylex
