#include <algorithm>
#include <cstdio>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/commands.h"
#include "client/file_failures.h"
#include "client/image_files.h"
#include "client/report/explanation.h"

namespace stylex {
namespace {

constexpr size_t kClassesShown = 3;

const char* NameOf(v1::ModelState state) {
  switch (state) {
    case v1::MODEL_STATE_LOADING:
      return "loading";
    case v1::MODEL_STATE_READY:
      return "ready";
    case v1::MODEL_STATE_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

absl::StatusOr<v1::Direction> ParseDirection(const std::string& text, const std::string& whole) {
  if (text == "min") {
    return v1::DIRECTION_TO_MIN;
  }
  if (text == "max") {
    return v1::DIRECTION_TO_MAX;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", whole, "\": the direction is \"", text, "\", expected min or max"));
}

std::string TopClasses(const v1::Prediction& prediction, const std::vector<std::string>& labels) {
  std::vector<int> order(static_cast<size_t>(prediction.probabilities_size()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return prediction.probabilities(a) > prediction.probabilities(b);
  });
  order.resize(std::min(order.size(), kClassesShown));
  std::string text;
  for (const int k : order) {
    absl::StrAppend(
        &text, text.empty() ? "" : ", ",
        static_cast<size_t>(k) < labels.size() ? labels[static_cast<size_t>(k)] : absl::StrCat(k),
        " ", static_cast<int>(1000 * prediction.probabilities(k) + 0.5) / 10.0, " %");
  }
  return text;
}

}  // namespace

v1::ClassSelector ParseClass(const std::string& text) {
  v1::ClassSelector selector;
  int id = 0;
  if (text.starts_with("#")) {
    selector.set_label(text.substr(1));
  } else if (absl::SimpleAtoi(text, &id)) {
    selector.set_class_id(id);
  } else {
    selector.set_label(text);
  }
  return selector;
}

absl::StatusOr<v1::Attribute> ParseAttribute(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  int index = 0;
  if (parts.size() > 2 || !absl::SimpleAtoi(parts[0], &index)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no attribute; expected INDEX, INDEX:min or INDEX:max"));
  }
  v1::Attribute attribute;
  attribute.set_index(index);
  attribute.set_direction(v1::DIRECTION_TO_MAX);
  if (parts.size() == 2) {
    STYLEX_ASSIGN_OR_RETURN(const v1::Direction direction, ParseDirection(parts[1], text));
    attribute.set_direction(direction);
  }
  return attribute;
}

absl::StatusOr<v1::StyleEdit> ParseEdit(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  int index = 0;
  double shift = 0;
  if (parts.size() < 2 || parts.size() > 3 || !absl::SimpleAtoi(parts[0], &index) ||
      !absl::SimpleAtod(parts[1], &shift)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no edit; expected INDEX:SHIFT or INDEX:SHIFT:min|max"));
  }
  v1::StyleEdit edit;
  edit.set_index(index);
  edit.set_shift(shift);
  edit.set_direction(v1::DIRECTION_TO_MAX);
  if (parts.size() == 3) {
    STYLEX_ASSIGN_OR_RETURN(const v1::Direction direction, ParseDirection(parts[2], text));
    edit.set_direction(direction);
  }
  return edit;
}

absl::Status ModelsCommand(const ConnectionOptions& connection) {
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  v1::ListModelsRequest request;
  v1::ListModelsResponse all;
  do {
    v1::ListModelsResponse page;
    STYLEX_RETURN_IF_ERROR(
        Call(connection, stub.get(), &v1::ExplanationService::Stub::ListModels, request, &page));
    request.set_page_token(page.next_page_token());
    all.mutable_models()->MergeFrom(page.models());
  } while (!request.page_token().empty());
  if (connection.json) {
    PrintJson(all);
    return absl::OkStatus();
  }
  for (const v1::ModelSummary& model : all.models()) {
    std::printf("%s/%lld  %s  %dx%d  %s%s%s\n", model.name().c_str(),
                static_cast<long long>(model.version()), NameOf(model.state()), model.resolution(),
                model.resolution(), absl::StrJoin(model.labels(), ", ").c_str(),
                model.error().empty() || model.labels().empty() ? "" : "  ", model.error().c_str());
  }
  return absl::OkStatus();
}

absl::Status ClassifyCommand(const ConnectionOptions& connection,
                             const std::vector<std::string>& paths) {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> files, ListImages(paths));
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  std::vector<std::string> labels;
  if (!connection.json) {
    STYLEX_ASSIGN_OR_RETURN(const v1::Model model,
                            DescribeModel(connection, stub.get(), connection.model));
    labels.assign(model.summary().labels().begin(), model.summary().labels().end());
  }
  FileFailures failures(files.size());
  for (const std::string& file : files) {
    v1::ClassifyRequest request;
    request.set_model(connection.model);
    v1::ClassifyResponse response;
    absl::StatusOr<v1::Image> image = LoadImage(file);
    absl::Status status = image.status();
    if (status.ok()) {
      *request.mutable_image() = *std::move(image);
      status =
          Call(connection, stub.get(), &v1::ExplanationService::Stub::Classify, request, &response);
    }
    if (!status.ok()) {
      failures.Add(file, status);
    } else if (connection.json) {
      PrintJson(response, file);
    } else {
      std::printf("%s: %s\n", file.c_str(), TopClasses(response.prediction(), labels).c_str());
    }
  }
  return failures.Summary();
}

absl::Status EncodeCommand(const ConnectionOptions& connection, const std::string& path,
                           const std::string& output) {
  v1::EncodeRequest request;
  request.set_model(connection.model);
  STYLEX_ASSIGN_OR_RETURN(*request.mutable_image(), LoadImage(path));
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  v1::EncodeResponse response;
  STYLEX_RETURN_IF_ERROR(
      Call(connection, stub.get(), &v1::ExplanationService::Stub::Encode, request, &response));
  if (!output.empty()) {
    STYLEX_RETURN_IF_ERROR(WriteFileAtomic(output, response.SerializeAsString()));
  }
  if (connection.json) {
    PrintJson(response);
  } else {
    std::printf("%s: %s, latent of %d values, %d style coordinates, %d to_rgb styles\n",
                path.c_str(), DecisionText(response.prediction()).c_str(),
                response.latent().values_size(), response.styles().values_size(),
                response.styles().to_rgb_size());
  }
  return absl::OkStatus();
}

}  // namespace stylex
