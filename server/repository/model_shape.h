// The sizes and labels of a model that requests are checked against.
#ifndef STYLEX_SERVER_REPOSITORY_MODEL_SHAPE_H_
#define STYLEX_SERVER_REPOSITORY_MODEL_SHAPE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace stylex {

struct ModelShape {
  std::string id;  // NAME/VERSION
  std::vector<std::string> labels;
  int64_t latent_size = 0;  // condition included
  int64_t num_styles = 0;
  int64_t num_to_rgb_styles = 0;
  bool has_ranges = false;  // whether the style coordinates' extremes are known
};

}  // namespace stylex

#endif  // STYLEX_SERVER_REPOSITORY_MODEL_SHAPE_H_
