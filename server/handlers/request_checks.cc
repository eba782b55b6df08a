#include "server/handlers/request_checks.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "image/codec.h"

namespace stylex {
namespace {

std::string At(const std::string& field, int index) { return absl::StrCat(field, "[", index, "]"); }

}  // namespace

void RequestChecks::Image(const std::string& field, bool present, const v1::Image& image) {
  const std::string data_field = absl::StrCat(field, ".data");
  if (!present) {
    Add(field, "is missing; an image with `data`, a whole JPEG, PNG or WebP file, is needed");
  } else if (image.data().empty()) {
    Add(data_field, "is empty; a whole JPEG, PNG or WebP file is needed");
  } else {
    if (const absl::Status format = CheckImageFormat(image.data()); !format.ok()) {
      Add(data_field, absl::StrCat("is ", format.message()));
    }
  }
}

std::optional<int64_t> RequestChecks::Class(const std::string& field, bool present,
                                            const v1::ClassSelector& selector) {
  if (!present) {
    return std::nullopt;
  }
  const std::vector<std::string>& labels = shape_.labels;
  const std::string there_are = absl::StrCat("the labels are ", ListOf(labels));
  switch (selector.selector_case()) {
    case v1::ClassSelector::kClassId:
      if (selector.class_id() >= 0 && selector.class_id() < static_cast<int64_t>(labels.size())) {
        return selector.class_id();
      }
      Add(absl::StrCat(field, ".class_id"),
          absl::StrCat("is ", selector.class_id(), "; 0 to ", labels.size() - 1,
                       " are classes: ", there_are));
      break;
    case v1::ClassSelector::kLabel: {
      const auto found = std::find(labels.begin(), labels.end(), selector.label());
      if (found != labels.end()) {
        return found - labels.begin();
      }
      Add(absl::StrCat(field, ".label"),
          absl::StrCat(Quoted(selector.label()), " is no class; ", there_are));
      break;
    }
    case v1::ClassSelector::SELECTOR_NOT_SET:
      Add(field, absl::StrCat("has neither class_id nor label; ", there_are));
      break;
  }
  class_fault_ = true;
  return std::nullopt;
}

void RequestChecks::SameModel(const std::string& field, const std::string& model,
                              absl::string_view advice) {
  if (!model.empty() && model != shape_.id) {
    foreign_model_ = absl::StrCat(field, ".model is ", Quoted(model), ", the request's model is ",
                                  Quoted(shape_.id), ": ", advice);
  }
}

void RequestChecks::Values(const std::string& field,
                           const google::protobuf::RepeatedField<float>& values, int64_t expected,
                           absl::string_view what) {
  if (values.size() != expected) {
    Add(field,
        absl::StrCat("has ", values.size(), " values; ", shape_.id, " has ", expected, " ", what));
  }
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad != values.end()) {
    Add(At(field, static_cast<int>(bad - values.begin())),
        absl::StrCat("is ", *bad, "; finite numbers are needed"));
  }
}

void RequestChecks::Latent(const std::string& field, const v1::Latent& latent) {
  SameModel(field, latent.model(), "encode the image with that one");
  Values(absl::StrCat(field, ".values"), latent.values(), shape_.latent_size, "latent values");
}

void RequestChecks::Styles(const std::string& field, const v1::Styles& styles) {
  SameModel(field, styles.model(), "encode the image with that one");
  Values(absl::StrCat(field, ".values"), styles.values(), shape_.num_styles, "style coordinates");
  Values(absl::StrCat(field, ".to_rgb"), styles.to_rgb(), shape_.num_to_rgb_styles,
         "to_rgb styles");
}

void RequestChecks::Index(const std::string& field, int64_t index) {
  if (index < 0 || index >= shape_.num_styles) {
    Add(field, absl::StrCat("is ", index, "; ", shape_.id, " has the style coordinates 0 to ",
                            shape_.num_styles - 1));
  }
}

void RequestChecks::Edits(const std::string& field,
                          const google::protobuf::RepeatedPtrField<v1::StyleEdit>& edits) {
  if (edits.size() > kMaxEdits) {
    Add(field, absl::StrCat("has ", edits.size(), " edits; at most ", kMaxEdits, " are allowed"));
    return;
  }
  if (!edits.empty()) {
    NeedsRanges();
  }
  std::set<int64_t> seen;
  for (int i = 0; i < edits.size(); ++i) {
    const std::string edit = At(field, i);
    Index(absl::StrCat(edit, ".index"), edits[i].index());
    Number(absl::StrCat(edit, ".shift"), edits[i].shift(), -kMaxShift, kMaxShift);
    Enum(absl::StrCat(edit, ".direction"), v1::Direction_IsValid(edits[i].direction()),
         edits[i].direction());
    if (!seen.insert(edits[i].index()).second) {
      Add(absl::StrCat(edit, ".index"),
          absl::StrCat("coordinate ", edits[i].index(), " is edited twice"));
    }
  }
}

void RequestChecks::Attribute(const std::string& field, const v1::Attribute& attribute) {
  SameModel(field, attribute.model(), "ask that one for its attributes");
  Index(absl::StrCat(field, ".index"), attribute.index());
  Enum(absl::StrCat(field, ".direction"), v1::Direction_IsValid(attribute.direction()),
       attribute.direction());
}

void RequestChecks::Attributes(
    const std::string& field, const google::protobuf::RepeatedPtrField<v1::Attribute>& attributes) {
  if (attributes.size() > shape_.num_styles) {
    Add(field, absl::StrCat("has ", attributes.size(), " attributes; ", shape_.id, " has ",
                            shape_.num_styles, " style coordinates, each at most once"));
    return;
  }
  std::set<int64_t> seen;
  for (int i = 0; i < attributes.size(); ++i) {
    Attribute(At(field, i), attributes[i]);
    if (!seen.insert(attributes[i].index()).second) {
      Add(absl::StrCat(At(field, i), ".index"),
          absl::StrCat("coordinate ", attributes[i].index(), " is listed twice"));
    }
  }
}

void RequestChecks::OutputFormat(const std::string& field, const v1::OutputFormat& format) {
  Enum(absl::StrCat(field, ".encoding"), v1::OutputFormat::Encoding_IsValid(format.encoding()),
       format.encoding());
  Count(absl::StrCat(field, ".quality"), format.quality(), 1, 100, 90);
}

void RequestChecks::Enum(const std::string& field, bool valid, int value) {
  if (!valid) {
    Add(field, absl::StrCat("is ", value, ", which is none of its values"));
  }
}

int64_t RequestChecks::Count(const std::string& field, int64_t value, int64_t min, int64_t max,
                             int64_t if_zero) {
  if (value == 0) {
    return if_zero;
  }
  if (value < min || value > max) {
    Add(field,
        absl::StrCat("is ", value, "; ", min, " to ", max, " are allowed, 0 means ", if_zero));
  }
  return value;
}

double RequestChecks::Number(const std::string& field, double value, double min, double max) {
  if (!(value >= min && value <= max)) {
    // With all digits, so that 1.0000001 is not told to be 1.
    Add(field, absl::StrFormat("is %.17g; %g to %g are allowed", value, min, max));
  }
  return value;
}

double RequestChecks::SearchShift(const std::string& field, double value) {
  return value == 0 ? 1 : Number(field, value, 0, kMaxShift);
}

absl::Status RequestChecks::Status() const {
  if (!faults_.empty()) {
    ErrorMetadata metadata = {{"model", shape_.id}};
    if (class_fault_) {
      metadata["labels"] = ListOf(shape_.labels);
    }
    return InvalidRequestError(faults_, metadata);
  }
  if (!foreign_model_.empty()) {
    return PreconditionError("MODEL_MISMATCH", shape_.id, foreign_model_);
  }
  if (needs_ranges_ && !shape_.has_ranges) {
    return NoAttributeIndexError(shape_.id);
  }
  return absl::OkStatus();
}

absl::Status NoAttributeIndexError(const std::string& model_id) {
  return PreconditionError("NO_ATTRIBUTE_INDEX", model_id,
                           "the model has no attribute index, which holds the extremes of its "
                           "style coordinates; `stylex-train attributes` makes one");
}

}  // namespace stylex
