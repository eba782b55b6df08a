// Says in measured words what moving a style coordinate changes in a model's pictures.
#ifndef STYLEX_TRAINER_STUDY_ATTRIBUTE_DESCRIPTION_H_
#define STYLEX_TRAINER_STUDY_ATTRIBUTE_DESCRIPTION_H_

#include <map>
#include <string>
#include <vector>

#include "explain/style_space.h"
#include "image/bitmap.h"
#include "models/stylex.h"
#include "stylex/v1/attribute_index.pb.h"
#include "trainer/data/progress.h"

namespace stylex {

// Measured on the images that are seen to change, of which five are needed. Where a change is small
// its colours are told for its place ("bottom right redder"), else for the parts of the picture. A
// change counts if its mean is at least this many standard deviations of the measure over the
// images, it is seen (AppearanceMeasure::least), and it has the same sign on this share of them.
inline constexpr double kLeastEffect = 0.2;
inline constexpr double kLeastAgreement = 0.8;

struct AttributeDescription {
  Coordinate coordinate;
  // The changes that count, the strongest first; of each quantity only the place where it is
  // strongest.
  std::vector<v1::AttributeChange> changes;
  double affected = 0;      // share of the images that are seen to change; all else is of these
  double visible_area = 0;  // mean share of the pixels that are seen to change
  double x = 0, y = 0;      // mean centre of these, -1 (left, top) to 1
};

// `before` and `after` have the same images, without and with the move.
AttributeDescription DescribeChange(const std::vector<Bitmap>& before,
                                    const std::vector<Bitmap>& after);

// Of each coordinate, moved by `shift` on images with these styles, [N, ...].
std::vector<AttributeDescription> DescribeAttributes(const Stylex& model,
                                                     const StyleVectors& styles,
                                                     const StyleRanges& ranges, double shift,
                                                     const std::vector<Coordinate>& coordinates,
                                                     Progress* progress);

// Other words for places, as `words` maps them: {"dark parts", "nucleus"} makes "nucleus redder" of
// "dark parts redder".
void Reword(const std::map<std::string, std::string>& words, AttributeDescription* description);

// The first two changes: "nucleus redder, object larger"; empty when there is none.
std::string DescriptionText(const AttributeDescription& description);

// The words in `name` that say a change ("redder", "larger") which no entry of `changes` says.
std::vector<std::string> UnmeasuredWords(
    const std::string& name,
    const google::protobuf::RepeatedPtrField<v1::AttributeChange>& changes);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_ATTRIBUTE_DESCRIPTION_H_
