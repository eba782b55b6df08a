// A minimal valid ModelConfig.
#ifndef STYLEX_TESTS_MODELS_CHECKPOINT_VALID_CONFIG_H_
#define STYLEX_TESTS_MODELS_CHECKPOINT_VALID_CONFIG_H_

#include "stylex/v1/model_config.pb.h"

namespace stylex {

inline v1::ModelConfig ValidConfig() {
  v1::ModelConfig config;
  config.set_schema_version(1);
  config.set_name("tiny");
  config.set_resolution(16);
  config.set_image_channels(1);
  config.add_labels("shirt");
  config.add_labels("boot");
  for (int level = 0; level < 3; ++level) {
    config.mutable_generator()->add_channels(8);
    config.mutable_encoder()->add_channels(8);
  }
  config.mutable_generator()->set_latent_size(12);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  config.mutable_generator()->set_mapping_layers(2);
  config.mutable_generator()->set_mapping_lr_multiplier(0.01);
  config.mutable_classifier()->set_architecture("mobilenet_v2");
  config.mutable_classifier()->set_width_multiplier(0.1);
  return config;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_MODELS_CHECKPOINT_VALID_CONFIG_H_
