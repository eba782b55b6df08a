// In which arithmetic the networks of a training are computed, and since when.
#ifndef STYLEX_TRAINER_TRAINING_PRECISION_H_
#define STYLEX_TRAINER_TRAINING_PRECISION_H_

#include <torch/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "stylex/v1/run_record.pb.h"

namespace stylex {

// Of activations and of the products of matrices and convolutions; weights, optimisers, losses and
// whatever has second derivatives are float32 anyway.
enum class Precision { kFloat32, kBfloat16 };

// "float32" or "bfloat16".
std::string PrecisionName(Precision precision);

// What `text`, the value of --precision, asks for: "auto" is bfloat16 on processors that multiply
// in it, else float32. INVALID_ARGUMENT for anything else than auto, float32 and bfloat16;
// FAILED_PRECONDITION for bfloat16 where the device does not have it.
absl::StatusOr<Precision> ChoosePrecision(const std::string& text, const torch::Device& device);

// Notes in the record that the run is computed in `precision` from that image on; false when it was
// before. A record that has images but tells no precision is of a version that had only float32.
bool RecordPrecision(Precision precision, int64_t images, v1::RunRecord* record);

// For the model card: "bfloat16", or "float32, from image 5000 on bfloat16". Empty when the record
// tells nothing.
std::string PrecisionText(const v1::RunRecord& record);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_PRECISION_H_
