#include <cstdio>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/commands.h"
#include "client/explanation.h"
#include "client/file_failures.h"
#include "client/image_files.h"
#include "client/report.h"
#include "client/sheet.h"
#include "image/codec.h"
#include "image/resize.h"

namespace stylex {
namespace {

v1::CounterfactualRequest MakeRequest(const ConnectionOptions& connection,
                                      const ExplainOptions& options) {
  v1::CounterfactualRequest request;
  request.set_model(connection.model);
  if (!options.target.empty()) {
    *request.mutable_target_class() = ParseClass(options.target);
  }
  request.set_max_attributes(options.max_attributes);
  request.set_shift(options.shift);
  if (options.probability) {
    request.set_target_probability(*options.probability);
  }
  request.set_certificate_candidates(options.certify);
  request.set_include_steps(true);
  request.set_include_difference(true);
  request.set_local(!options.whole);
  request.set_include_on_photograph(true);
  return request;
}

// Decodes the answer's images and drops them from the message.
absl::Status TakeImages(v1::CounterfactualResponse answer, Explanation* explanation) {
  STYLEX_ASSIGN_OR_RETURN(explanation->reconstruction, DecodeAnswer(answer.reconstruction()));
  STYLEX_ASSIGN_OR_RETURN(explanation->counterfactual, DecodeAnswer(answer.counterfactual()));
  STYLEX_ASSIGN_OR_RETURN(explanation->difference, DecodeAnswer(answer.difference()));
  if (answer.has_on_photograph()) {
    STYLEX_ASSIGN_OR_RETURN(explanation->on_photograph, DecodeAnswer(answer.on_photograph()));
  }
  for (const v1::Image& step : answer.steps()) {
    STYLEX_ASSIGN_OR_RETURN(Bitmap bitmap, DecodeAnswer(step));
    explanation->steps.push_back(std::move(bitmap));
  }
  answer.clear_reconstruction();
  answer.clear_counterfactual();
  answer.clear_difference();
  answer.clear_on_photograph();
  answer.clear_steps();
  explanation->answer = std::move(answer);
  return absl::OkStatus();
}

absl::StatusOr<Explanation> ExplainOne(const ConnectionOptions& connection,
                                       v1::ExplanationService::Stub* stub,
                                       v1::CounterfactualRequest request, const std::string& path) {
  Explanation explanation;
  explanation.path = path;
  explanation.stem = Stem(path);
  explanation.local = request.local();
  STYLEX_ASSIGN_OR_RETURN(*request.mutable_image(), LoadImage(path));
  STYLEX_ASSIGN_OR_RETURN(const Bitmap photograph, DecodeImage(request.image().data()));
  v1::CounterfactualResponse answer;
  STYLEX_RETURN_IF_ERROR(
      Call(connection, stub, &v1::ExplanationService::Stub::Counterfactual, request, &answer));
  STYLEX_RETURN_IF_ERROR(TakeImages(std::move(answer), &explanation));
  explanation.photograph =
      PrepareImage(photograph, {.resolution = explanation.reconstruction.width,
                                .channels = explanation.reconstruction.channels});
  return explanation;
}

absl::Status WriteFiles(const Explanation& explanation, const std::string& folder) {
  const std::string prefix = absl::StrCat(folder, "/", explanation.stem);
  STYLEX_RETURN_IF_ERROR(
      WriteSyntheticPng(explanation.reconstruction, prefix + "-reconstruction.png"));
  STYLEX_RETURN_IF_ERROR(
      WriteSyntheticPng(explanation.counterfactual, prefix + "-counterfactual.png"));
  STYLEX_RETURN_IF_ERROR(WriteSyntheticPng(explanation.difference, prefix + "-difference.png"));
  if (HoldsOnPhotograph(explanation)) {
    STYLEX_RETURN_IF_ERROR(
        WriteSyntheticPng(explanation.on_photograph, prefix + "-on-photograph.png"));
  }
  for (size_t i = 0; i < explanation.steps.size(); ++i) {
    STYLEX_RETURN_IF_ERROR(
        WriteSyntheticPng(explanation.steps[i], absl::StrCat(prefix, "-step", i + 1, ".png")));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string gif, BeforeAndAfterGif(explanation));
  return WriteFileAtomic(prefix + ".gif", gif);
}

// ", and no smaller set of ..."; empty without a certificate.
std::string CertificateText(const v1::CounterfactualResponse& answer) {
  if (!answer.has_certificate() || answer.certificate().candidates() == 0) {
    return "";
  }
  return absl::StrCat(", no smaller set of the ", answer.certificate().candidates(),
                      " strongest flips (", answer.certificate().subsets(), " tried)");
}

void PrintOutcome(const Explanation& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  std::printf("%s: %s -> %s%s, %d attributes%s\n", explanation.path.c_str(),
              DecisionText(answer.reconstruction_prediction()).c_str(),
              DecisionText(answer.counterfactual_prediction()).c_str(),
              answer.convincing() ? "" : absl::StrCat(" (", answer.reason(), ")").c_str(),
              answer.applied_size(), CertificateText(answer).c_str());
  if (answer.quality().unlike_training()) {
    std::printf("%s: unlike the training images: %s\n", explanation.path.c_str(),
                UnlikeTrainingText(answer.quality()).c_str());
  }
  for (const std::string& limit : LimitsOfChange(explanation)) {
    std::printf("%s: %s\n", explanation.path.c_str(), limit.c_str());
  }
}

// Photographs in different folders may have the same name; their output files must not.
void MakeUnique(std::set<std::string>* seen, Explanation* explanation) {
  const std::string name = explanation->stem;
  for (int i = 2; !seen->insert(explanation->stem).second; ++i) {
    explanation->stem = absl::StrCat(name, "-", i);
  }
}

absl::Status WriteOverviews(const ConnectionOptions& connection, v1::ExplanationService::Stub* stub,
                            const std::vector<Explanation>& explanations,
                            const std::string& folder) {
  v1::GetModelRequest request;
  request.set_model(explanations.front().answer.model());
  v1::GetModelResponse model;
  STYLEX_RETURN_IF_ERROR(
      Call(connection, stub, &v1::ExplanationService::Stub::GetModel, request, &model));
  STYLEX_RETURN_IF_ERROR(WriteSyntheticPng(DrawContactSheet(explanations), folder + "/sheet.png"));
  STYLEX_ASSIGN_OR_RETURN(const std::string html, RenderReport(model.model(), explanations));
  return WriteFileAtomic(folder + "/report.html", html);
}

}  // namespace

absl::Status ExplainCommand(const ConnectionOptions& connection, const ExplainOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(std::vector<std::string> files, ListImages(options.paths));
  if (options.limit > 0) {
    files.resize(std::min(files.size(), static_cast<size_t>(options.limit)));
  }
  STYLEX_RETURN_IF_ERROR(MakeFolder(options.output));
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  const v1::CounterfactualRequest request = MakeRequest(connection, options);
  std::vector<Explanation> explanations;
  std::set<std::string> seen;
  FileFailures failures(files.size());
  for (const std::string& file : files) {
    absl::StatusOr<Explanation> explanation = ExplainOne(connection, stub.get(), request, file);
    if (!explanation.ok()) {
      failures.Add(file, explanation.status());
      continue;
    }
    MakeUnique(&seen, &*explanation);
    STYLEX_RETURN_IF_ERROR(WriteFiles(*explanation, options.output));
    if (connection.json) {
      PrintJson(explanation->answer, file);
    } else {
      PrintOutcome(*explanation);
    }
    explanations.push_back(*std::move(explanation));
  }
  if (!explanations.empty()) {
    STYLEX_RETURN_IF_ERROR(WriteOverviews(connection, stub.get(), explanations, options.output));
    if (!connection.json) {
      std::printf("wrote %s/report.html\n", options.output.c_str());
    }
  }
  return failures.Summary();
}

}  // namespace stylex
