#include "server/handlers/style_messages.h"

#include <torch/types.h>

namespace stylex {
namespace {

void Fill(const torch::Tensor& tensor, google::protobuf::RepeatedField<float>* values) {
  const torch::Tensor flat =
      tensor.detach().to(torch::kCPU, torch::kFloat32).flatten().contiguous();
  values->Assign(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
}

// [1, size]; a copy, so that it outlives the message.
torch::Tensor Row(const google::protobuf::RepeatedField<float>& values,
                  const torch::Device& device) {
  torch::Tensor row = torch::empty({1, values.size()}, torch::kFloat32);
  std::copy(values.begin(), values.end(), row.data_ptr<float>());
  return row.to(device);
}

}  // namespace

v1::Latent ToLatent(const torch::Tensor& w, const std::string& model_id) {
  v1::Latent latent;
  latent.set_model(model_id);
  Fill(w, latent.mutable_values());
  return latent;
}

torch::Tensor FromLatent(const v1::Latent& latent, const torch::Device& device) {
  return Row(latent.values(), device);
}

v1::Styles ToStyles(const StyleVectors& styles, const std::string& model_id) {
  v1::Styles out;
  out.set_model(model_id);
  Fill(styles.conv, out.mutable_values());
  Fill(styles.rgb, out.mutable_to_rgb());
  return out;
}

StyleVectors FromStyles(const v1::Styles& styles, const torch::Device& device) {
  return {Row(styles.values(), device), Row(styles.to_rgb(), device)};
}

v1::StyleEdit ToEdit(const Move& move) {
  v1::StyleEdit edit;
  edit.set_index(static_cast<int32_t>(move.coordinate.index));
  edit.set_shift(move.shift);
  edit.set_direction(ToProto(move.coordinate.direction));
  return edit;
}

std::vector<Move> ToMoves(const google::protobuf::RepeatedPtrField<v1::StyleEdit>& edits) {
  std::vector<Move> moves;
  for (const v1::StyleEdit& edit : edits) {
    moves.push_back({{edit.index(), DirectionFromProto(edit.direction())}, edit.shift()});
  }
  return moves;
}

}  // namespace stylex
