// Converts latents, styles and moves between messages and tensors. Inputs must have been validated
// (server/handlers/request_checks.h).
#ifndef STYLEX_SERVER_HANDLERS_STYLE_MESSAGES_H_
#define STYLEX_SERVER_HANDLERS_STYLE_MESSAGES_H_

#include <torch/types.h>

#include <string>
#include <vector>

#include "explain/style_space.h"
#include "models/networks/generator.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// One image's latent, [1, W].
v1::Latent ToLatent(const torch::Tensor& w, const std::string& model_id);
// [1, W]. The message must have been checked.
torch::Tensor FromLatent(const v1::Latent& latent, const torch::Device& device);

// One image's styles.
v1::Styles ToStyles(const StyleVectors& styles, const std::string& model_id);
// Of one image. The message must have been checked.
StyleVectors FromStyles(const v1::Styles& styles, const torch::Device& device);

// As a request of Reconstruct takes it.
v1::StyleEdit ToEdit(const Move& move);
// In the order of the request.
std::vector<Move> ToMoves(const google::protobuf::RepeatedPtrField<v1::StyleEdit>& edits);

}  // namespace stylex

#endif  // STYLEX_SERVER_HANDLERS_STYLE_MESSAGES_H_
