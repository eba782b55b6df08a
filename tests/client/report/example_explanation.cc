#include "tests/client/report/example_explanation.h"

#include "image/codec.h"

namespace stylex {

v1::Model Pets() {
  v1::Model model;
  model.mutable_summary()->set_name("pets");
  model.mutable_summary()->set_version(3);
  for (const char* label : {"cat", "dog", "fox", "owl", "hen"}) {
    model.mutable_summary()->add_labels(label);
  }
  model.mutable_summary()->set_resolution(4);
  model.set_num_styles(64);
  return model;
}

v1::Prediction Believed(const std::vector<float>& probabilities, int decided) {
  v1::Prediction prediction;
  prediction.mutable_probabilities()->Assign(probabilities.begin(), probabilities.end());
  prediction.set_class_id(decided);
  prediction.set_label(Pets().summary().labels(decided));
  return prediction;
}

ExplainedPhotograph CatToDog() {
  ExplainedPhotograph explanation;
  explanation.path = "photos/tom.jpg";
  explanation.stem = "tom";
  explanation.input_sha256 = std::string(64, 'a');
  explanation.photograph = Bitmap::Make(4, 4, 3, 90);
  explanation.reconstruction = Bitmap::Make(4, 4, 3, 90);
  explanation.counterfactual = Bitmap::Make(4, 4, 3, 140);
  v1::CounterfactualResponse& answer = explanation.answer;
  *answer.mutable_original_prediction() = Believed({0.9f, 0.1f, 0, 0, 0}, 0);
  *answer.mutable_reconstruction_prediction() = Believed({0.8f, 0.15f, 0.05f, 0, 0}, 0);
  *answer.mutable_counterfactual_prediction() = Believed({0.25f, 0.7f, 0.05f, 0, 0}, 1);
  answer.set_target_class_id(1);
  answer.set_target_label("dog");
  answer.set_flipped(true);
  answer.set_convincing(true);
  answer.set_model("pets/3");
  answer.mutable_quality()->set_same_class(true);
  answer.mutable_quality()->set_ssim(0.9);
  v1::AppliedAttribute& applied = *answer.add_applied();
  applied.mutable_attribute()->set_index(41);
  applied.mutable_attribute()->set_name("ears");
  applied.mutable_attribute()->set_direction(v1::DIRECTION_TO_MIN);
  applied.set_shift(0.5);
  applied.set_target_probability(0.7);
  return explanation;
}

std::string PngOf(const Bitmap& picture) { return EncodePng(picture).value_or(""); }

}  // namespace stylex
