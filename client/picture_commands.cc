#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "client/attribute_names.h"
#include "client/commands.h"
#include "client/image_files.h"
#include "client/report/explanation.h"
#include "client/report/synthetic_mark.h"
#include "image/codec.h"
#include "image/gif.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kFrameMs = 120;
constexpr int kShownSide = 256;  // small images are enlarged to about this

Bitmap Enlarge(const Bitmap& bitmap) {
  const int factor = std::max(1, kShownSide / bitmap.width);
  return ResizeNearest(bitmap, bitmap.width * factor, bitmap.height * factor);
}

}  // namespace

absl::Status ReconstructCommand(const ConnectionOptions& connection,
                                const ReconstructOptions& options) {
  v1::ReconstructRequest request;
  request.set_model(connection.model);
  STYLEX_ASSIGN_OR_RETURN(*request.mutable_image(), LoadImage(options.path));
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  for (const std::string& text : options.edits) {
    STYLEX_ASSIGN_OR_RETURN(*request.add_edits(), ResolveEdit(connection, stub.get(), text));
  }
  request.set_local(options.local);
  v1::ReconstructResponse response;
  STYLEX_RETURN_IF_ERROR(
      Call(connection, stub.get(), &v1::ExplanationService::Stub::Reconstruct, request, &response));
  STYLEX_ASSIGN_OR_RETURN(const Bitmap bitmap, DecodeAnswer(response.image()));
  STYLEX_ASSIGN_OR_RETURN(
      const std::string png,
      EncodePng(bitmap, MakeMark(response.model(), Sha256(request.image().data())).PngTexts()));
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(options.output, png));
  if (connection.json) {
    response.clear_image();
    PrintJson(response);
    return absl::OkStatus();
  }
  const v1::ReconstructionQuality& quality = response.quality();
  std::printf("%s: %s -> %s, L1 %.4f, PSNR %.2f dB, SSIM %.4f, KL %.4f; wrote %s\n",
              options.path.c_str(), response.original().label().c_str(),
              response.reconstruction().label().c_str(), quality.l1(), quality.psnr(),
              quality.ssim(), quality.kl(), options.output.c_str());
  return absl::OkStatus();
}

absl::Status TraverseCommand(const ConnectionOptions& connection, const TraverseOptions& options) {
  v1::TraverseRequest request;
  request.set_model(connection.model);
  STYLEX_ASSIGN_OR_RETURN(*request.mutable_image(), LoadImage(options.path));
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  STYLEX_ASSIGN_OR_RETURN(*request.mutable_attribute(),
                          ResolveAttribute(connection, stub.get(), options.attribute));
  request.set_steps(options.steps);
  request.set_shift_from(options.from);
  request.set_shift_to(options.to);
  request.set_local(options.local);
  grpc::ClientContext context;
  SetDeadline(connection, 60, &context);
  const auto reader = stub->Traverse(&context, request);
  std::vector<Bitmap> frames;
  v1::TraverseResponse response;
  while (reader->Read(&response)) {
    STYLEX_ASSIGN_OR_RETURN(const Bitmap frame, DecodeAnswer(response.image()));
    frames.push_back(Enlarge(frame));
    response.clear_image();
    if (connection.json) {
      PrintJson(response);
    } else {
      std::printf("shift %6.3f  %s\n", response.shift(),
                  DecisionText(response.prediction()).c_str());
    }
  }
  STYLEX_RETURN_IF_ERROR(WithAdvice(connection, ToStatus(reader->Finish())));
  const std::string comment =
      MakeMark(connection.model.empty() ? "(the server's only one)" : connection.model,
               Sha256(request.image().data()))
          .Comment();
  // Appends the frames in reverse order, so that the loop has no jump.
  for (size_t i = frames.size(); i > 2; --i) {
    frames.push_back(frames[i - 2]);
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string gif, EncodeGif(frames, kFrameMs, comment));
  return WriteFileAtomic(options.output, gif);
}

}  // namespace stylex
