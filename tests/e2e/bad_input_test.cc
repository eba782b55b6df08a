// Invalid requests and checkpoints: each gives the right status, and the server continues to serve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>

#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/server/rpc/error_details.h"
#include "tests/server/rpc/raw_call.h"

namespace stylex {
namespace {

using grpc::health::v1::HealthCheckResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

void FlipAByte(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-10, std::ios::end);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(-10, std::ios::end);
  file.put(byte);
}

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    for (const char* name : {"good", "flipped", "truncated", "missing"}) {
      WriteTinyCheckpoint(models_->path(), {.name = name});
    }
    WriteTinyCheckpoint(models_->path(), {.name = "good", .version = 2});
    WriteTinyCheckpoint(models_->path(), {.name = "indexless", .with_index = false});
    WriteTinyCheckpoint(models_->path(), {.name = "plain", .with_encoder = false});
    const std::string weights = "/1/weights.safetensors";
    FlipAByte(models_->path() + "/flipped" + weights);
    std::filesystem::resize_file(models_->path() + "/truncated" + weights, 1000);
    std::filesystem::remove(models_->path() + "/missing" + weights);
    server_ = new ServerProcess(models_->path());
    server_->AwaitLoaded();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete models_;
  }
  // After each test, the server still answers a valid request.
  void TearDown() override {
    v1::ClassifyRequest request;
    request.set_model("good");
    request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
    const grpc::Status status = Classify(request);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  static v1::ExplanationService::Stub& stub() { return server_->stub(); }
  static grpc::Status Classify(const v1::ClassifyRequest& request) {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    return stub().Classify(&context, request, &response);
  }
  static grpc::Status ClassifyFile(const std::string& file) {
    v1::ClassifyRequest request;
    request.set_model("good");
    request.mutable_image()->set_data(file);
    return Classify(request);
  }
  static grpc::Status Reconstruct(const v1::ReconstructRequest& request) {
    grpc::ClientContext context;
    v1::ReconstructResponse response;
    return stub().Reconstruct(&context, request, &response);
  }
  static grpc::Status Counterfactual(const v1::CounterfactualRequest& request) {
    grpc::ClientContext context;
    v1::CounterfactualResponse response;
    return stub().Counterfactual(&context, request, &response);
  }
  static grpc::Status FindAttributes(const v1::FindAttributesRequest& request) {
    grpc::ClientContext context;
    const auto reader = stub().FindAttributes(&context, request);
    v1::FindAttributesResponse response;
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  }
  static grpc::Status Traverse(const v1::TraverseRequest& request) {
    grpc::ClientContext context;
    const auto reader = stub().Traverse(&context, request);
    v1::TraverseResponse response;
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  }

  static TemporaryFolder* models_;
  static ServerProcess* server_;
};

TemporaryFolder* BadInputTest::models_ = nullptr;
ServerProcess* BadInputTest::server_ = nullptr;

void ExpectInvalid(const grpc::Status& status, const std::vector<std::string>& fields) {
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_EQ(ViolatedFields(status), fields) << status.error_message();
  EXPECT_EQ(ReasonOf(status), "INVALID_REQUEST");
}

TEST_F(BadInputTest, FilesThatAreNoImages) {
  ExpectInvalid(ClassifyFile(""), {"image.data"});
  ExpectInvalid(ClassifyFile("Dear classifier, please decide."), {"image.data"});
  // What it is instead, as the client sees it.
  for (const auto& [file, name] : std::initializer_list<std::pair<std::string, std::string>>{
           {std::string("\0\0\0\x18"
                        "ftypheic\0\0\0\0mif1heic",
                        24),
            "a HEIC file"},
           {std::string("II*\0\x08\0\0\0", 8), "a TIFF file"},
           {"data:image/png;base64,iVBORw0KGgo=", "a data URL"},
           {"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgK", "base64 text"}}) {
    const grpc::Status status = ClassifyFile(file);
    ExpectInvalid(status, {"image.data"});
    EXPECT_THAT(status.error_message(), testing::HasSubstr(name));
  }
  const std::string jpeg = JpegPicture(64, 64, 3, 90);
  ExpectInvalid(ClassifyFile(jpeg.substr(0, jpeg.size() / 2)), {"image.data"});
  ExpectInvalid(ClassifyFile(jpeg.substr(0, 20)), {"image.data"});
  const std::string png = PngPicture(64, 64, 3, 90);
  ExpectInvalid(ClassifyFile(png.substr(0, png.size() / 2)), {"image.data"});
  v1::ClassifyRequest request;
  request.set_model("good");
  ExpectInvalid(Classify(request), {"image"});
}

TEST_F(BadInputTest, APngBombIsOverTheLimit) {
  const grpc::Status status = ClassifyFile(PngBomb());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_EQ(ReasonOf(status), "OVER_LIMIT");
  EXPECT_THAT(ViolatedFields(status), ElementsAre("image.data"));
}

TEST_F(BadInputTest, AMessageOf64MibIsOverTheLimit) {
  EXPECT_EQ(ClassifyFile(std::string(64 << 20, 'x')).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(BadInputTest, UnknownModelsListTheNames) {
  for (const char* name : {"lions", "good/7", "good/x"}) {
    v1::ClassifyRequest request;
    request.set_model(name);
    request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
    const grpc::Status status = Classify(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_THAT(status.error_message(), HasSubstr("'good'"));
    EXPECT_EQ(FindDetail<google::rpc::ResourceInfo>(status)->resource_name(), name);
  }
  v1::ClassifyRequest nameless;
  nameless.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  ExpectInvalid(Classify(nameless), {"model"});
}

TEST_F(BadInputTest, LatentsThatDoNotFit) {
  v1::ReconstructRequest request;
  request.set_model("good");
  ExpectInvalid(Reconstruct(request), {"source"});
  request.mutable_latent()->mutable_values()->Resize(7, 0);
  ExpectInvalid(Reconstruct(request), {"latent.values"});
  request.mutable_latent()->mutable_values()->Resize(11, 0);
  EXPECT_TRUE(Reconstruct(request).ok());
  request.mutable_latent()->set_model("good/1");
  const grpc::Status status = Reconstruct(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(FindDetail<google::rpc::PreconditionFailure>(status).has_value());
}

TEST_F(BadInputTest, StylesThatAreNoNumbers) {
  v1::ReconstructRequest request;
  request.set_model("good");
  request.mutable_styles()->mutable_values()->Resize(40, 0);
  request.mutable_styles()->mutable_to_rgb()->Resize(24, 0);
  request.mutable_styles()->set_values(5, std::numeric_limits<float>::quiet_NaN());
  ExpectInvalid(Reconstruct(request), {"styles.values[5]"});
  request.mutable_styles()->set_values(5, std::numeric_limits<float>::infinity());
  ExpectInvalid(Reconstruct(request), {"styles.values[5]"});
  for (float& value : *request.mutable_styles()->mutable_to_rgb()) {
    value = std::numeric_limits<float>::max();
  }
  request.mutable_styles()->mutable_values()->Resize(0, 0);
  request.mutable_styles()->mutable_values()->Resize(40, std::numeric_limits<float>::max());
  const grpc::Status status = Reconstruct(request);
  EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::INVALID_ARGUMENT)
      << status.error_message();
}

TEST_F(BadInputTest, EveryFaultIsTold) {
  v1::CounterfactualRequest request;
  request.set_model("good");
  request.mutable_target_class()->set_label("purple");
  request.add_attributes()->set_index(4000);
  request.set_max_attributes(-1);
  request.set_shift(99);
  request.set_target_probability(2);
  request.set_certificate_candidates(17);
  request.mutable_output_format()->set_quality(1000);
  const grpc::Status status = Counterfactual(request);
  ExpectInvalid(status,
                {"image", "target_class.label", "attributes[0].index", "max_attributes", "shift",
                 "target_probability", "output_format.quality", "certificate_candidates"});
  EXPECT_THAT(status.error_message(), HasSubstr("'dark', 'medium', 'bright'"));
  EXPECT_LE(status.error_details().size(), 4000u);
}

TEST_F(BadInputTest, BadSearches) {
  v1::FindAttributesRequest request;
  request.set_model("good");
  ExpectInvalid(FindAttributes(request), {"target_class"});
  request.mutable_target_class()->set_class_id(3);
  request.set_max_attributes(-5);
  request.set_threshold(std::numeric_limits<double>::quiet_NaN());
  ExpectInvalid(FindAttributes(request), {"target_class.class_id", "max_attributes", "threshold"});
  request.Clear();
  request.set_model("good");
  request.mutable_target_class()->set_class_id(0);
  request.mutable_source_class()->set_label("dark");
  ExpectInvalid(FindAttributes(request), {"source_class"});
  request.mutable_source_class()->set_class_id(1);
  const grpc::Status without_images = FindAttributes(request);
  ExpectInvalid(without_images, {"source_class"});
  EXPECT_THAT(without_images.error_message(), testing::HasSubstr("needs images"));
  request.clear_source_class();
  const std::string png = PngPicture(64, 64, 3, 220);
  request.add_images()->set_data(png);
  request.add_images()->set_data(png.substr(0, png.size() / 2));
  request.add_images()->set_data(png.substr(0, 50));
  ExpectInvalid(FindAttributes(request), {"images[1].data", "images[2].data"});
}

TEST_F(BadInputTest, BadTraversals) {
  v1::TraverseRequest request;
  request.set_model("good");
  ExpectInvalid(Traverse(request), {"source", "attribute"});
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  request.mutable_attribute()->set_index(-1);
  request.set_steps(1);
  request.set_shift_to(5);
  ExpectInvalid(Traverse(request), {"attribute.index", "steps", "shift_to"});
}

TEST_F(BadInputTest, BadPages) {
  grpc::ClientContext context;
  v1::ListModelsRequest request;
  request.set_page_size(-1);
  request.set_page_token("nonsense");
  v1::ListModelsResponse response;
  ExpectInvalid(stub().ListModels(&context, request, &response), {"page_size", "page_token"});
}

TEST_F(BadInputTest, WithoutAnIndexWhatNeedsItIsAPrecondition) {
  v1::FindAttributesRequest search;
  search.set_model("indexless");
  search.mutable_target_class()->set_class_id(0);
  EXPECT_EQ(FindAttributes(search).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  v1::CounterfactualRequest counterfactual;
  counterfactual.set_model("indexless");
  counterfactual.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  const grpc::Status status = Counterfactual(counterfactual);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "NO_ATTRIBUTE_INDEX");
}

TEST_F(BadInputTest, BrokenCheckpointsAreReportedByNameAndTheOthersServe) {
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(stub().ListModels(&context, {}, &response).ok());
  std::map<std::string, v1::ModelSummary> models;
  for (const v1::ModelSummary& model : response.models()) {
    models[model.name()] = model;
  }
  EXPECT_THAT(models["plain"].error(), HasSubstr("has no encoder"));
  for (const char* name : {"flipped", "truncated", "missing", "plain"}) {
    EXPECT_EQ(models[name].state(), v1::MODEL_STATE_FAILED) << name;
    EXPECT_THAT(models[name].error(),
                HasSubstr(name == std::string("plain") ? "plain/1" : "weights.safetensors"));
    EXPECT_EQ(server_->Health(std::string("model:") + name), HealthCheckResponse::NOT_SERVING);
    v1::ClassifyRequest request;
    request.set_model(name);
    request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
    const grpc::Status status = Classify(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), StartsWith(std::string("'") + name + "/1'"));
  }
  EXPECT_EQ(models["good"].state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(server_->Health("model:good"), HealthCheckResponse::SERVING);
  EXPECT_EQ(server_->Health("readiness"), HealthCheckResponse::SERVING);
}

TEST_F(BadInputTest, BytesThatAreNoMessage) {
  // gRPC itself refuses messages that do not parse.
  const grpc::Status status = SendBytes(
      server_->NewChannel(), "/stylex.v1.ExplanationService/Classify", "\xFF\xFF\xFF\xFF garbage");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace stylex
