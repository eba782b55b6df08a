// One loaded checkpoint, to which requests hold handles. Read-only and thread-safe after
// construction.
#ifndef STYLEX_SERVER_REPOSITORY_SERVED_MODEL_H_
#define STYLEX_SERVER_REPOSITORY_SERVED_MODEL_H_

#include <torch/types.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/checkpoint.h"
#include "models/stylex.h"
#include "server/repository/model_shape.h"
#include "server/repository/network_passes.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

class ServedModel {
 public:
  // `id`: NAME/VERSION. The checkpoint's model must already be on its device.
  ServedModel(std::string name, int64_t version, Checkpoint checkpoint);

  // "NAME/VERSION".
  const std::string& id() const { return shape_.id; }
  // On its device.
  const Stylex& model() const { return checkpoint_.model; }
  const NetworkPasses& passes() const { return passes_; }
  const ModelShape& shape() const { return shape_; }
  const std::optional<v1::AttributeIndex>& attributes() const { return checkpoint_.attributes; }
  // The stored attributes of a class; null when there are none.
  const v1::ClassAttributes* AttributesOf(int64_t class_id) const;
  // For each class the stored attributes, strongest first; empty lists without an index.
  const ClassLists& index_lists() const { return index_lists_; }
  // Only with shape().has_ranges.
  const StyleRanges& ranges() const { return *ranges_; }
  // Images per generator batch of a search: small enough that on a CPU a cancelled call stops in
  // time.
  int64_t search_batch() const { return search_batch_; }
  // The same for the explanation of one image.
  int64_t explanation_batch() const { return explanation_batch_; }
  // The answer of GetModel.
  v1::Model Describe() const;
  // An attribute of this model for answers: layer, channel, and the name from the index.
  v1::Attribute DescribeAttribute(Coordinate coordinate, int64_t target) const;

 private:
  const Checkpoint checkpoint_;
  const NetworkPasses passes_;
  std::string name_;
  int64_t version_;
  ModelShape shape_;
  ClassLists index_lists_;
  std::optional<StyleRanges> ranges_;
  int64_t search_batch_, explanation_batch_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_REPOSITORY_SERVED_MODEL_H_
