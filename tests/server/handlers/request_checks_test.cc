#include "server/handlers/request_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/server/rpc/error_details.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class RequestChecksTest : public ::testing::Test {
 protected:
  RequestChecksTest()
      : shape_({.id = "pets/2",
                .labels = {"cat", "dog"},
                .latent_size = 3,
                .num_styles = 5,
                .num_to_rgb_styles = 2,
                .has_ranges = true}),
        checks_(shape_) {}

  std::vector<std::string> Fields() const {
    std::vector<std::string> fields;
    for (const Fault& fault : checks_.faults()) {
      fields.push_back(fault.field);
    }
    return fields;
  }

  ModelShape shape_;
  RequestChecks checks_;
};

TEST_F(RequestChecksTest, GoodThingsPass) {
  v1::Image image;
  image.set_data("\x89PNG\r\n\x1a\n and so on");
  checks_.Image("image", true, image);
  image.set_data("\xFF\xD8\xFF\xE0 and so on");
  checks_.Image("image", true, image);
  v1::ClassSelector selector;
  EXPECT_FALSE(checks_.Class("target_class", false, selector).has_value());
  selector.set_class_id(0);
  EXPECT_EQ(checks_.Class("target_class", true, selector), 0);
  selector.set_label("dog");
  EXPECT_EQ(checks_.Class("target_class", true, selector), 1);
  v1::Latent latent;
  latent.set_model("pets/2");
  latent.mutable_values()->Resize(3, 0.5F);
  checks_.Latent("latent", latent);
  EXPECT_EQ(checks_.Count("steps", 0, 2, 256, 9), 9);
  EXPECT_EQ(checks_.Count("steps", 7, 2, 256, 9), 7);
  EXPECT_EQ(checks_.SearchShift("shift", 0), 1);
  EXPECT_EQ(checks_.SearchShift("shift", 2.5), 2.5);
  EXPECT_THAT(Fields(), IsEmpty());
  EXPECT_TRUE(checks_.Status().ok());
}

TEST_F(RequestChecksTest, ImagesMustBeThereAndLookLikeImages) {
  v1::Image image;
  checks_.Image("image", false, image);
  checks_.Image("images[1]", true, image);
  image.set_data("plain text");
  checks_.Image("images[2]", true, image);
  image.set_data("GIF89a.......");
  checks_.Image("images[3]", true, image);
  EXPECT_THAT(Fields(), ElementsAre("image", "images[1].data", "images[2].data", "images[3].data"));
  EXPECT_THAT(checks_.faults()[2].description,
              "is neither a JPEG nor a PNG nor a WebP file (10 bytes, unknown first bytes)");
  EXPECT_THAT(checks_.faults()[3].description, testing::StartsWith("is a GIF file"));
}

TEST_F(RequestChecksTest, UnknownClassesListTheLabels) {
  v1::ClassSelector selector;
  checks_.Class("a", true, selector);
  selector.set_class_id(2);
  checks_.Class("b", true, selector);
  selector.set_class_id(-1);
  checks_.Class("c", true, selector);
  selector.set_label("lion");
  checks_.Class("d", true, selector);
  EXPECT_THAT(Fields(), ElementsAre("a", "b.class_id", "c.class_id", "d.label"));
  for (const Fault& fault : checks_.faults()) {
    EXPECT_THAT(fault.description, HasSubstr("'cat', 'dog'"));
  }
  const auto info = FindDetail<google::rpc::ErrorInfo>(ToGrpcStatus(checks_.Status(), "id"));
  EXPECT_EQ(info->metadata().at("labels"), "'cat', 'dog'");
}

TEST_F(RequestChecksTest, LatentsAndStylesHaveTheirLengthAndFiniteValues) {
  v1::Latent latent;
  latent.mutable_values()->Resize(4, 0);
  checks_.Latent("latent", latent);
  v1::Styles styles;
  styles.mutable_values()->Resize(5, 0);
  styles.set_values(2, std::numeric_limits<float>::quiet_NaN());
  styles.mutable_to_rgb()->Resize(2, 0);
  styles.set_to_rgb(1, -std::numeric_limits<float>::infinity());
  checks_.Styles("styles", styles);
  EXPECT_THAT(Fields(), ElementsAre("latent.values", "styles.values[2]", "styles.to_rgb[1]"));
}

TEST_F(RequestChecksTest, AnotherModelsLatentIsAPrecondition) {
  v1::Latent latent;
  latent.set_model("pets/1");
  latent.mutable_values()->Resize(3, 0);
  checks_.Latent("latent", latent);
  const grpc::Status status = ToGrpcStatus(checks_.Status(), "id");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("pets/1"));
  EXPECT_THAT(status.error_message(), HasSubstr("pets/2"));
  EXPECT_EQ(ReasonOf(status), "MODEL_MISMATCH");
}

TEST_F(RequestChecksTest, AnotherModelsAttributeIsAFailedPrecondition) {
  v1::Attribute attribute;
  attribute.set_model(shape_.id);
  checks_.Attribute("attribute", attribute);
  EXPECT_TRUE(checks_.Status().ok());
  attribute.clear_model();
  checks_.Attribute("attribute", attribute);
  EXPECT_TRUE(checks_.Status().ok());
  attribute.set_model("pets/1");
  checks_.Attribute("attribute", attribute);
  const grpc::Status status = ToGrpcStatus(checks_.Status(), "id");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("attribute.model is 'pets/1'"));
  EXPECT_EQ(ReasonOf(status), "MODEL_MISMATCH");
}

TEST_F(RequestChecksTest, EditsAreBoundedAndDistinct) {
  google::protobuf::RepeatedPtrField<v1::StyleEdit> edits;
  for (const auto& [index, shift] : std::vector<std::pair<int, double>>{
           {0, 1}, {5, 1}, {-1, 1}, {0, 1}, {1, 4.5}, {2, -4.5}, {3, kNan}}) {
    v1::StyleEdit* edit = edits.Add();
    edit->set_index(index);
    edit->set_shift(shift);
  }
  edits.Mutable(0)->set_direction(static_cast<v1::Direction>(17));
  checks_.Edits("edits", edits);
  EXPECT_THAT(Fields(),
              ElementsAre("edits[0].direction", "edits[1].index", "edits[2].index",
                          "edits[3].index", "edits[4].shift", "edits[5].shift", "edits[6].shift"));
}

TEST_F(RequestChecksTest, AtMost64Edits) {
  shape_.num_styles = 1000;
  google::protobuf::RepeatedPtrField<v1::StyleEdit> edits;
  for (int i = 0; i < kMaxEdits; ++i) {
    edits.Add()->set_index(i);
  }
  checks_.Edits("edits", edits);
  EXPECT_THAT(Fields(), IsEmpty());
  edits.Add()->set_index(kMaxEdits);
  checks_.Edits("edits", edits);
  EXPECT_THAT(Fields(), ElementsAre("edits"));
}

TEST_F(RequestChecksTest, AttributesAreKnownAndDistinct) {
  google::protobuf::RepeatedPtrField<v1::Attribute> attributes;
  attributes.Add()->set_index(4);
  attributes.Add()->set_index(5);
  attributes.Add()->set_index(4);
  checks_.Attributes("attributes", attributes);
  EXPECT_THAT(Fields(), ElementsAre("attributes[1].index", "attributes[2].index"));
}

// Else a request of two bytes an attribute would take hundreds for each of their faults.
TEST_F(RequestChecksTest, OfTooManyAttributesOneFaultIsTold) {
  google::protobuf::RepeatedPtrField<v1::Attribute> attributes;
  for (int64_t i = 0; i <= shape_.num_styles; ++i) {
    attributes.Add()->set_index(-1);
  }
  checks_.Attributes("attributes", attributes);
  EXPECT_THAT(Fields(), ElementsAre("attributes"));
  EXPECT_THAT(checks_.faults()[0].description, HasSubstr("has 6 attributes"));
}

TEST_F(RequestChecksTest, NumbersHaveRanges) {
  checks_.Count("max_attributes", -1, 1, 64, 10);
  checks_.Count("steps", 1, 2, 256, 9);
  checks_.Number("target_probability", 1.5, 0, 1);
  checks_.Number("threshold", std::numeric_limits<double>::infinity(), 0, 1e6);
  checks_.SearchShift("shift", -1);
  checks_.SearchShift("nan", kNan);
  v1::OutputFormat format;
  format.set_quality(101);
  format.set_encoding(static_cast<v1::OutputFormat::Encoding>(9));
  checks_.OutputFormat("output_format", format);
  EXPECT_THAT(Fields(),
              ElementsAre("max_attributes", "steps", "target_probability", "threshold", "shift",
                          "nan", "output_format.encoding", "output_format.quality"));
  checks_.Number("just_over", 1.0000001, 0, 1);
  EXPECT_THAT(checks_.faults().back().description, testing::StartsWith("is 1.0000001"));
  EXPECT_EQ(checks_.Status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RequestChecksTest, MissingRangesAreAPreconditionOnlyWhereNeeded) {
  shape_.has_ranges = false;
  google::protobuf::RepeatedPtrField<v1::StyleEdit> edits;
  checks_.Edits("edits", edits);
  EXPECT_TRUE(checks_.Status().ok());
  edits.Add();
  checks_.Edits("edits", edits);
  EXPECT_EQ(checks_.Status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(ToGrpcStatus(checks_.Status(), "id")), "NO_ATTRIBUTE_INDEX");
}

TEST_F(RequestChecksTest, FaultsOfTheRequestComeBeforePreconditions) {
  shape_.has_ranges = false;
  checks_.NeedsRanges();
  checks_.Add("steps", "is wrong");
  EXPECT_EQ(checks_.Status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace stylex
