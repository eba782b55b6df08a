// An attribute index of the tiny model that leaves nothing out.
#ifndef STYLEX_TESTS_TRAINER_STUDY_FULL_INDEX_H_
#define STYLEX_TESTS_TRAINER_STUDY_FULL_INDEX_H_

#include <cstdint>

#include "explain/style_space.h"
#include "stylex/v1/attribute_index.pb.h"
#include "tests/explain/tiny_model.h"

namespace stylex {

// All coordinates in both directions for every class.
inline v1::AttributeIndex FullIndex(const StyleRanges& ranges) {
  v1::AttributeIndex index;
  RangesToIndex(ranges, &index);
  for (int64_t k = 0; k < kTinyClasses; ++k) {
    v1::ClassAttributes* of_class = index.add_classes();
    of_class->set_class_id(static_cast<int32_t>(k));
    for (const Coordinate& coordinate : AllCoordinates()) {
      v1::Attribute* attribute = of_class->add_attributes();
      attribute->set_index(static_cast<int32_t>(coordinate.index));
      attribute->set_direction(ToProto(coordinate.direction));
    }
  }
  return index;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_STUDY_FULL_INDEX_H_
