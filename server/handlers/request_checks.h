// Validation of requests before any work is done.
//
// Each check adds every fault it finds to a list, so that all are reported at once; the value that
// a check returns is meaningful only if it added none. Cheap: nothing is decoded or computed.
// Stateless, thread-safe.
#ifndef STYLEX_SERVER_HANDLERS_REQUEST_CHECKS_H_
#define STYLEX_SERVER_HANDLERS_REQUEST_CHECKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/repository/model_shape.h"
#include "server/rpc/errors.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

inline constexpr int kMaxEdits = 64;
inline constexpr int kMaxSearchImages = 256;
inline constexpr double kMaxShift = 4;

class RequestChecks {
 public:
  // `shape` must outlive this.
  explicit RequestChecks(const ModelShape& shape) : shape_(shape) {}

  // Records a fault.
  void Add(std::string field, std::string description) {
    faults_.push_back({std::move(field), std::move(description)});
  }
  const std::vector<Fault>& faults() const { return faults_; }

  // Checks that there is an image whose first bytes are those of a JPEG, PNG or WebP file.
  void Image(const std::string& field, bool present, const v1::Image& image);
  // The class's index; nullopt if the selector is absent or invalid.
  std::optional<int64_t> Class(const std::string& field, bool present,
                               const v1::ClassSelector& selector);
  // Checks the model it names, its length, and that all numbers are finite.
  void Latent(const std::string& field, const v1::Latent& latent);
  // Checks the model they name, their lengths, and that all numbers are finite.
  void Styles(const std::string& field, const v1::Styles& styles);
  // Checks coordinates, directions, strengths and the number of edits.
  void Edits(const std::string& field,
             const google::protobuf::RepeatedPtrField<v1::StyleEdit>& edits);
  // Checks `index`, `direction` and `model` of an attribute to move.
  void Attribute(const std::string& field, const v1::Attribute& attribute);
  // The same for a list, which must not contain a coordinate twice. Of one that is longer than
  // there are coordinates only that is said.
  void Attributes(const std::string& field,
                  const google::protobuf::RepeatedPtrField<v1::Attribute>& attributes);
  // Checks format and quality.
  void OutputFormat(const std::string& field, const v1::OutputFormat& format);
  // Checks that an enum field has one of the enum's values.
  void Enum(const std::string& field, bool valid, int value);
  // Returns `value`, or `if_zero` for 0; a fault unless min <= value <= max.
  int64_t Count(const std::string& field, int64_t value, int64_t min, int64_t max, int64_t if_zero);
  // Checks for a finite number, min <= value <= max.
  double Number(const std::string& field, double value, double min, double max);
  // A search's `shift`: 0 means 1, at most kMaxShift.
  double SearchShift(const std::string& field, double value);

  // INVALID_ARGUMENT with all faults; else FAILED_PRECONDITION if a latent or styles belong to
  // another model, or if the model lacks ranges that are needed; else OK.
  absl::Status Status() const;
  // Declares that the request needs the style coordinates' extremes.
  void NeedsRanges() { needs_ranges_ = true; }

 private:
  // `advice`: what to do about another model's.
  void SameModel(const std::string& field, const std::string& model, absl::string_view advice);
  void Values(const std::string& field, const google::protobuf::RepeatedField<float>& values,
              int64_t expected, absl::string_view what);
  void Index(const std::string& field, int64_t index);

  const ModelShape& shape_;
  std::vector<Fault> faults_;
  std::string foreign_model_;
  bool needs_ranges_ = false;
  bool class_fault_ = false;
};

// FAILED_PRECONDITION for a model without an attribute index.
absl::Status NoAttributeIndexError(const std::string& model_id);

}  // namespace stylex

#endif  // STYLEX_SERVER_HANDLERS_REQUEST_CHECKS_H_
