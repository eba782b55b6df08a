// What a model's classifier is known to go by, beside the attributes that were found.
#ifndef STYLEX_CLIENT_REPORT_TRUTH_TABLE_H_
#define STYLEX_CLIENT_REPORT_TRUTH_TABLE_H_

#include <string>

#include "stylex/v1/explanation.pb.h"

namespace stylex {

// A section of the report with a table for each class; empty for a model without known truth. All
// external text is escaped.
std::string TruthTable(const v1::Model& model);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_TRUTH_TABLE_H_
