// The section of the report that says what the classifier is known to go by.
#include "client/report/truth_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/report/report.h"
#include "tests/client/test_files.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Towards "yes" hair decides and was found as two attributes, one of them named; age does not
// decide.
v1::Model DrawnFaces() {
  v1::Model model;
  model.mutable_summary()->set_name("faces");
  model.mutable_summary()->add_labels("no");
  model.mutable_summary()->add_labels("yes");
  v1::KnownTruth* truth = model.mutable_truth();
  truth->set_images(40);
  truth->add_factors()->set_name("hair");
  truth->mutable_factors(0)->set_sign(1);
  truth->add_factors()->set_name("age");
  v1::ClassTruth* of_class = truth->add_classes();
  of_class->set_class_id(1);
  of_class->add_factors()->set_mean_effect(2.25);
  of_class->add_factors()->set_mean_effect(-0.125);
  for (const int index : {4, 6, 8}) {
    v1::AttributeTruth* attribute = of_class->add_attributes();
    attribute->set_index(index);
    attribute->set_direction(v1::DIRECTION_TO_MIN);
    attribute->set_factor(index == 8 ? "age" : "hair");
    attribute->set_finding(index == 8 ? v1::TRUTH_FINDING_UNCLEAR : v1::TRUTH_FINDING_TRUE);
  }
  of_class->set_precision(2. / 3);
  of_class->set_recall(1);
  v1::ClassAttributes* listed = model.mutable_attributes()->add_classes();
  listed->set_class_id(1);
  v1::Attribute* named = listed->add_attributes();
  named->set_index(6);
  named->set_direction(v1::DIRECTION_TO_MIN);
  named->set_name("darker hair");
  return model;
}

// A report of no photographs.
std::string PageOf(const v1::Model& model) {
  const TemporaryFolder folder;
  const ReportInputs inputs{.model = model, .facts = {}, .failed = {}, .asked = 0, .pairs = {}};
  const auto none = [](size_t) -> absl::StatusOr<std::string> { return "{}"; };
  EXPECT_TRUE(WriteReport(inputs, none, folder / "report.html").ok());
  return ReadAll(folder / "report.html");
}

TEST(TruthTableTest, IsEmptyWhereNothingIsKnown) {
  EXPECT_EQ(TruthTable(v1::Model()), "");
  EXPECT_THAT(PageOf(v1::Model()), Not(HasSubstr("really goes by")));
}

TEST(TruthTableTest, ShowsCausesBesideWhatWasFound) {
  const std::string html = TruthTable(DrawnFaces());
  EXPECT_THAT(html, AllOf(HasSubstr("<h3>Towards yes</h3>"),
                          HasSubstr("<td>hair</td><td>yes</td><td>+2.25</td>"
                                    "<td>coordinate 4 to its smallest, darker hair</td>"),
                          HasSubstr("<td>age</td><td>no</td><td>-0.12</td><td></td>")));
  EXPECT_THAT(html, HasSubstr("Of the first 3 attributes 67 % are something that decides the "
                              "label, 0 % something that does not; 100 % of what decides it was "
                              "found."));
  EXPECT_THAT(PageOf(DrawnFaces()), HasSubstr(html));
}

TEST(TruthTableTest, NothingFromOutsideIsReadAsHtml) {
  v1::Model model = DrawnFaces();
  model.mutable_summary()->set_labels(1, "<b>");
  model.mutable_truth()->mutable_factors(0)->set_name("<i>");
  for (v1::AttributeTruth& attribute :
       *model.mutable_truth()->mutable_classes(0)->mutable_attributes()) {
    attribute.set_factor("<i>");
  }
  model.mutable_attributes()->mutable_classes(0)->mutable_attributes(0)->set_name("<u>");
  const std::string html = TruthTable(model);
  for (const char* tag : {"<b>", "<i>", "<u>"}) {
    EXPECT_THAT(html, Not(HasSubstr(tag)));
  }
}

}  // namespace
}  // namespace stylex
