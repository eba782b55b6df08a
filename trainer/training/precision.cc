#include "trainer/training/precision.h"

#include "absl/strings/str_cat.h"
#include "models/cpu/fused_networks.h"

namespace stylex {

std::string PrecisionName(Precision precision) {
  return precision == Precision::kFloat32 ? "float32" : "bfloat16";
}

absl::StatusOr<Precision> ChoosePrecision(const std::string& text, const torch::Device& device) {
  const bool available = device.is_cpu() && CpuMultipliesInBfloat16();
  if (text == "auto") {
    return available ? Precision::kBfloat16 : Precision::kFloat32;
  }
  if (text == "float32") {
    return Precision::kFloat32;
  }
  if (text != "bfloat16") {
    return absl::InvalidArgumentError(
        absl::StrCat("--precision ", text, ": must be auto, float32 or bfloat16"));
  }
  if (!available) {
    return absl::FailedPreconditionError(
        absl::StrCat("--precision bfloat16: ",
                     device.is_cpu() ? "this processor does not multiply in it (AVX512-BF16 or AMX)"
                                     : "only on the CPU; a GPU trains in float32",
                     "; auto takes it where there is one that does"));
  }
  return Precision::kBfloat16;
}

bool RecordPrecision(Precision precision, int64_t images, v1::RunRecord* record) {
  if (record->precisions().empty() && images > 0) {
    record->add_precisions()->set_precision(PrecisionName(Precision::kFloat32));
  }
  const std::string name = PrecisionName(precision);
  if (!record->precisions().empty() && record->precisions().rbegin()->precision() == name) {
    return false;
  }
  v1::PrecisionUse& use = *record->add_precisions();
  use.set_precision(name);
  use.set_from_image(images);
  return true;
}

std::string PrecisionText(const v1::RunRecord& record) {
  std::string text;
  for (const v1::PrecisionUse& use : record.precisions()) {
    absl::StrAppend(&text,
                    text.empty() ? "" : absl::StrCat(", from image ", use.from_image(), " on "),
                    use.precision());
  }
  return text;
}

}  // namespace stylex
