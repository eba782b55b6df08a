// An explanation as a server might give it, for tests that change something about it.
#ifndef STYLEX_TESTS_CLIENT_REPORT_EXAMPLE_EXPLANATION_H_
#define STYLEX_TESTS_CLIENT_REPORT_EXAMPLE_EXPLANATION_H_

#include <string>
#include <vector>

#include "client/report/explanation.h"

namespace stylex {

// "pets/3" with the classes cat, dog, fox, owl, hen.
v1::Model Pets();
v1::Prediction Believed(const std::vector<float>& probabilities, int decided);
// A cat that becomes a dog by one attribute, called "ears".
ExplainedPhotograph CatToDog();
std::string PngOf(const Bitmap& picture);

}  // namespace stylex

#endif  // STYLEX_TESTS_CLIENT_REPORT_EXAMPLE_EXPLANATION_H_
