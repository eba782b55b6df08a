#include "client/explain_photograph.h"

#include <algorithm>
#include <utility>

#include "base/sha256.h"
#include "base/status_macros.h"
#include "client/image_files.h"
#include "client/report/change.h"
#include "client/report/facts.h"
#include "image/codec.h"
#include "image/resize.h"

namespace stylex {
namespace {

using Service = v1::ExplanationService::Stub;

constexpr double kCallSeconds = 60;
// Larger frames come as JPEG, which is a fraction of the size; smaller ones would gain nothing.
constexpr int kLargestPngFrame = 64;
constexpr int kFrameQuality = 90;
constexpr size_t kMovesWithFrames = 6;  // of more, the rest are named only

// As Call (call.h), but cancelled with the others.
template <typename Request, typename Response>
absl::Status CallWith(const ExplainSetup& setup,
                      grpc::Status (Service::*method)(grpc::ClientContext*, const Request&,
                                                      Response*),
                      const Request& request, Response* response) {
  grpc::ClientContext context;
  SetDeadline(setup.connection, kCallSeconds, &context);
  const RunningCalls::Call running(setup.calls, &context);
  return WithAdvice(setup.connection, ToStatus((setup.stub->*method)(&context, request, response)));
}

// Decodes the answer's images and drops them from the message.
absl::Status TakeImages(v1::CounterfactualResponse answer, ExplainedPhotograph* explanation) {
  STYLEX_ASSIGN_OR_RETURN(explanation->reconstruction, DecodeAnswer(answer.reconstruction()));
  STYLEX_ASSIGN_OR_RETURN(explanation->counterfactual, DecodeAnswer(answer.counterfactual()));
  if (answer.has_on_photograph()) {
    STYLEX_ASSIGN_OR_RETURN(explanation->on_photograph, DecodeAnswer(answer.on_photograph()));
  }
  for (const v1::Image& step : answer.steps()) {
    STYLEX_ASSIGN_OR_RETURN(Bitmap bitmap, DecodeAnswer(step));
    explanation->steps.push_back(std::move(bitmap));
  }
  answer.clear_reconstruction();
  answer.clear_counterfactual();
  answer.clear_on_photograph();
  answer.clear_steps();
  explanation->answer = std::move(answer);
  return absl::OkStatus();
}

absl::StatusOr<v1::Styles> StylesOf(const ExplainSetup& setup, v1::Image image) {
  v1::EncodeRequest request;
  request.set_model(setup.request.model());
  *request.mutable_image() = std::move(image);
  v1::EncodeResponse response;
  STYLEX_RETURN_IF_ERROR(CallWith(setup, &Service::Encode, request, &response));
  return std::move(*response.mutable_styles());
}

// `target`: of whose probability is told.
absl::StatusOr<std::vector<Frame>> Traverse(const ExplainSetup& setup,
                                            const v1::TraverseRequest& request, int target) {
  grpc::ClientContext context;
  SetDeadline(setup.connection, kCallSeconds, &context);
  const RunningCalls::Call running(setup.calls, &context);
  const auto reader = setup.stub->Traverse(&context, request);
  std::vector<Frame> frames;
  v1::TraverseResponse response;
  while (reader->Read(&response)) {
    frames.push_back({.shift = response.shift(),
                      .probability = ProbabilityOf(response.prediction(), target),
                      .file = std::move(*response.mutable_image()->mutable_data())});
  }
  STYLEX_RETURN_IF_ERROR(WithAdvice(setup.connection, ToStatus(reader->Finish())));
  return frames;
}

v1::TraverseRequest MakeTraverse(const ExplainSetup& setup, const v1::Attribute& attribute,
                                 int side) {
  v1::TraverseRequest request;
  request.set_model(setup.request.model());
  request.mutable_attribute()->set_index(attribute.index());
  request.mutable_attribute()->set_direction(attribute.direction());
  if (side > kLargestPngFrame) {
    request.mutable_output_format()->set_encoding(v1::OutputFormat::ENCODING_JPEG);
    request.mutable_output_format()->set_quality(kFrameQuality);
  }
  return request;
}

// The frames of each moved attribute by itself. The first is the reconstruction, which is there.
absl::Status AddFrames(const ExplainSetup& setup, const v1::Image& image,
                       ExplainedPhotograph* explanation) {
  const v1::CounterfactualResponse& answer = explanation->answer;
  if (setup.frames < 3 || answer.applied_size() == 0) {
    return absl::OkStatus();
  }
  v1::Styles styles;  // of several moves, so that the image is encoded once
  if (answer.applied_size() > 1) {
    STYLEX_ASSIGN_OR_RETURN(styles, StylesOf(setup, image));
  }
  const double before = ProbabilityOf(answer.reconstruction_prediction(), answer.target_class_id());
  for (const v1::AppliedAttribute& applied : answer.applied()) {
    if (explanation->frames.size() == kMovesWithFrames) {
      break;
    }
    v1::TraverseRequest request =
        MakeTraverse(setup, applied.attribute(), explanation->reconstruction.width);
    if (answer.applied_size() > 1) {
      *request.mutable_styles() = styles;
    } else {
      *request.mutable_image() = image;
    }
    request.set_steps(setup.frames - 1);
    request.set_shift_from(applied.shift() / (setup.frames - 1));
    request.set_shift_to(applied.shift());
    request.set_local(answer.local_applied());
    STYLEX_ASSIGN_OR_RETURN(std::vector<Frame> frames,
                            Traverse(setup, request, answer.target_class_id()));
    frames.insert(frames.begin(), {.shift = 0, .probability = before, .file = ""});
    explanation->frames.push_back(std::move(frames));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExplainedPhotograph> ExplainPhotograph(const ExplainSetup& setup,
                                                      const ExplainTask& task,
                                                      const v1::Image& image) {
  ExplainedPhotograph explanation;
  explanation.path = task.path;
  explanation.stem = task.name;
  explanation.folder_label = task.folder_label;
  explanation.input_sha256 = Sha256(image.data());
  explanation.local = setup.request.local();
  STYLEX_ASSIGN_OR_RETURN(const Bitmap photograph, DecodeImage(image.data()));
  v1::CounterfactualRequest request = setup.request;
  *request.mutable_image() = image;
  v1::CounterfactualResponse answer;
  STYLEX_RETURN_IF_ERROR(CallWith(setup, &Service::Counterfactual, request, &answer));
  STYLEX_RETURN_IF_ERROR(TakeImages(std::move(answer), &explanation));
  explanation.photograph =
      PrepareImage(photograph, {.resolution = explanation.reconstruction.width,
                                .channels = explanation.reconstruction.channels,
                                .crop = setup.preprocessing.crop_pixels(),
                                .stretch = setup.preprocessing.crop() == "stretch"});
  STYLEX_RETURN_IF_ERROR(AddFrames(setup, image, &explanation));
  return explanation;
}

absl::StatusOr<std::vector<AttributePair>> DrawPairs(const ExplainSetup& setup,
                                                     const ExplainTask& task,
                                                     const v1::ClassAttributes& of_class,
                                                     double shift) {
  STYLEX_ASSIGN_OR_RETURN(v1::Image image, LoadImage(task.path));
  const SyntheticMark mark = MakeMark(setup.request.model(), Sha256(image.data()));
  STYLEX_ASSIGN_OR_RETURN(const v1::Styles styles, StylesOf(setup, std::move(image)));
  std::vector<AttributePair> pairs;
  for (int i = 0; i < std::min(of_class.attributes_size(), kAttributesShown); ++i) {
    const v1::Attribute& attribute = of_class.attributes(i);
    v1::TraverseRequest request = MakeTraverse(setup, attribute, /*side=*/0);
    *request.mutable_styles() = styles;
    request.set_steps(2);
    request.set_shift_from(0);
    request.set_shift_to(shift);
    STYLEX_ASSIGN_OR_RETURN(const std::vector<Frame> frames,
                            Traverse(setup, request, of_class.class_id()));
    if (frames.size() != 2) {
      return absl::InternalError("the server did not send the two frames it was asked for");
    }
    STYLEX_ASSIGN_OR_RETURN(const Bitmap before, DecodeImage(frames[0].file));
    STYLEX_ASSIGN_OR_RETURN(const Bitmap after, DecodeImage(frames[1].file));
    STYLEX_ASSIGN_OR_RETURN(const std::string png_before, EncodePng(before, mark.PngTexts()));
    STYLEX_ASSIGN_OR_RETURN(const std::string png_after, EncodePng(after, mark.PngTexts()));
    pairs.push_back({.class_id = of_class.class_id(),
                     .attribute = attribute.index(),
                     .direction = attribute.direction(),
                     .of = task.name,
                     .before = DataUri(png_before),
                     .after = DataUri(png_after),
                     .words = WordsOfChange(before, after)});
  }
  return pairs;
}

}  // namespace stylex
