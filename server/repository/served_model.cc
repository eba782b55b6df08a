#include "server/repository/served_model.h"

#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr int64_t kMaxSearchBatch = 64;

// Multiply-adds of the generator's 3x3 convolutions for one image.
double GeneratorMacs(const v1::GeneratorConfig& config) {
  double macs = 0;
  double side = 4;
  double in = config.channels_size() > 0 ? config.channels(0) : 0;
  for (const int32_t out : config.channels()) {
    macs += 9 * side * side * out * (side == 4 ? in : in + out);
    in = out;
    side *= 2;
  }
  return macs;
}

// Number of variants of an image computed at once: on a CPU as many as take `macs` multiply-adds.
int64_t BatchOf(const Stylex& model, double macs, double fewest) {
  if (model.device().is_cuda()) {
    return kMaxSearchBatch;
  }
  const double each = std::max(1.0, GeneratorMacs(model.config().generator()));
  return static_cast<int64_t>(
      std::clamp(macs / each, fewest, static_cast<double>(kMaxSearchBatch)));
}

// An Encode may have to wait for one chunk of a search, so on a CPU a chunk should take no longer
// than an Encode. Measured on 2 cores with bench/serving while a search used both: p99 of Encode
// was 15.4 ms with 2e8, 10.2 ms with 1e8, and about the same, with shorter waits, with 6e7, which
// makes the search 9 % slower than 2e8.
int64_t SearchBatch(const Stylex& model) { return BatchOf(model, 6e7, 2); }

// An explanation of one image is short and interactive: its chunks are larger.
int64_t ExplanationBatch(const Stylex& model) { return BatchOf(model, 4e8, 4); }

ModelShape MakeShape(const std::string& name, int64_t version, const Checkpoint& checkpoint) {
  const Stylex& model = checkpoint.model;
  const auto& labels = model.config().labels();
  return {
      .id = absl::StrCat(name, "/", version),
      .labels = {labels.begin(), labels.end()},
      .latent_size = model.w_size(),
      .num_styles = model.layout().num_conv(),
      .num_to_rgb_styles = model.layout().num_rgb(),
      .has_ranges = checkpoint.attributes.has_value() && checkpoint.attributes->styles_size() > 0};
}

}  // namespace

ServedModel::ServedModel(std::string name, int64_t version, Checkpoint checkpoint)
    : checkpoint_(std::move(checkpoint)),
      passes_(&checkpoint_.model),
      name_(std::move(name)),
      version_(version),
      shape_(MakeShape(name_, version_, checkpoint_)),
      search_batch_(SearchBatch(checkpoint_.model)),
      explanation_batch_(ExplanationBatch(checkpoint_.model)) {
  index_lists_ = IndexLists(checkpoint_.attributes.value_or(v1::AttributeIndex()),
                            checkpoint_.model.num_classes());
  if (shape_.has_ranges) {
    ranges_ = RangesFromIndex(*checkpoint_.attributes);
  }
}

const v1::ClassAttributes* ServedModel::AttributesOf(int64_t class_id) const {
  if (checkpoint_.attributes.has_value()) {
    for (const v1::ClassAttributes& of_class : checkpoint_.attributes->classes()) {
      if (of_class.class_id() == class_id) {
        return &of_class;
      }
    }
  }
  return nullptr;
}

v1::Model ServedModel::Describe() const {
  const v1::ModelConfig& config = model().config();
  v1::Model out;
  v1::ModelSummary* summary = out.mutable_summary();
  summary->set_name(name_);
  summary->set_version(version_);
  summary->set_state(v1::MODEL_STATE_READY);
  summary->set_resolution(config.resolution());
  *summary->mutable_labels() = config.labels();
  out.set_image_channels(config.image_channels());
  out.set_latent_size(static_cast<int32_t>(shape_.latent_size));
  out.set_num_styles(static_cast<int32_t>(shape_.num_styles));
  out.set_num_to_rgb_styles(static_cast<int32_t>(shape_.num_to_rgb_styles));
  for (const int64_t coordinates : model().layout().conv) {
    out.add_layer_styles(static_cast<int32_t>(coordinates));
  }
  *out.mutable_generator() = config.generator();
  *out.mutable_encoder() = config.encoder();
  *out.mutable_classifier() = config.classifier();
  *out.mutable_preprocessing() = config.preprocessing();
  if (attributes().has_value()) {
    *out.mutable_attributes() = *attributes();
    out.mutable_attributes()->clear_styles();
    for (v1::ClassAttributes& of_class : *out.mutable_attributes()->mutable_classes()) {
      for (v1::Attribute& attribute : *of_class.mutable_attributes()) {
        attribute.set_model(id());
      }
    }
  }
  if (checkpoint_.truth.has_value()) {
    *out.mutable_truth() = *checkpoint_.truth;
  }
  *out.mutable_metrics() = config.metrics();
  *out.mutable_provenance() = config.provenance();
  out.set_num_parameters(model().NumParameters());
  return out;
}

v1::Attribute ServedModel::DescribeAttribute(Coordinate coordinate, int64_t target) const {
  v1::Attribute out = ToAttribute(coordinate, model().layout());
  out.set_model(id());
  if (const v1::ClassAttributes* stored = AttributesOf(target)) {
    for (const v1::Attribute& attribute : stored->attributes()) {
      if (attribute.index() == out.index() && attribute.direction() == out.direction()) {
        out.set_name(attribute.name());
        out.set_description(attribute.description());
      }
    }
  }
  return out;
}

}  // namespace stylex
