// Successful answers of every RPC, from the real server over its socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

#include "image/codec.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"

namespace stylex {
namespace {

using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

constexpr int kSide = 16;

class AnswersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    WriteTinyCheckpoint(models_->path(), {.version = 1, .seed = 5, .knows_errors = true});
    WriteTinyCheckpoint(models_->path(), {.version = 2});
    WriteTinyCheckpoint(
        models_->path(),
        {.name = "grey", .image_channels = 1, .with_index = false, .built_in_classifier = true});
    WriteTinyCheckpoint(models_->path(), {.name = "turned", .components = 6});
    server_ = new ServerProcess(models_->path());
    server_->AwaitLoaded();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete models_;
  }

  v1::ExplanationService::Stub& stub() { return server_->stub(); }
  void CheckDelivered(const v1::CounterfactualRequest& request,
                      const v1::CounterfactualResponse& response);

  v1::EncodeResponse Encode(const std::string& model, const std::string& file) {
    grpc::ClientContext context;
    v1::EncodeRequest request;
    request.set_model(model);
    request.mutable_image()->set_data(file);
    v1::EncodeResponse response;
    const grpc::Status status = stub().Encode(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::ReconstructResponse Reconstruct(const v1::ReconstructRequest& request) {
    grpc::ClientContext context;
    v1::ReconstructResponse response;
    const grpc::Status status = stub().Reconstruct(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::Prediction Classify(const std::string& model, const std::string& file) {
    grpc::ClientContext context;
    v1::ClassifyRequest request;
    request.set_model(model);
    request.mutable_image()->set_data(file);
    v1::ClassifyResponse response;
    const grpc::Status status = stub().Classify(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.prediction();
  }
  v1::CounterfactualResponse Counterfactual(const v1::CounterfactualRequest& request) {
    grpc::ClientContext context;
    v1::CounterfactualResponse response;
    const grpc::Status status = stub().Counterfactual(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // Reads the whole stream; fails the test unless its status is OK.
  template <class Response>
  static std::vector<Response> ReadAll(grpc::ClientReader<Response>* reader) {
    std::vector<Response> responses;
    Response response;
    while (reader->Read(&response)) {
      responses.push_back(response);
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return responses;
  }
  std::vector<v1::FindAttributesResponse> FindAttributes(const v1::FindAttributesRequest& request) {
    grpc::ClientContext context;
    return ReadAll(stub().FindAttributes(&context, request).get());
  }

  static TemporaryFolder* models_;
  static ServerProcess* server_;
};

TemporaryFolder* AnswersTest::models_ = nullptr;
ServerProcess* AnswersTest::server_ = nullptr;

Bitmap Decoded(const v1::Image& image) {
  const absl::StatusOr<Bitmap> bitmap = DecodeImage(image.data());
  EXPECT_TRUE(bitmap.ok()) << bitmap.status();
  return bitmap.value_or(Bitmap{});
}

TEST_F(AnswersTest, ListModelsInPages) {
  std::vector<std::string> ids;
  std::string token;
  do {
    grpc::ClientContext context;
    v1::ListModelsRequest request;
    request.set_page_size(2);
    request.set_page_token(token);
    v1::ListModelsResponse response;
    ASSERT_TRUE(stub().ListModels(&context, request, &response).ok());
    EXPECT_LE(response.models_size(), 2);
    for (const v1::ModelSummary& model : response.models()) {
      ids.push_back(model.name() + "/" + std::to_string(model.version()));
      EXPECT_EQ(model.state(), v1::MODEL_STATE_READY) << model.error();
      EXPECT_EQ(model.resolution(), kSide);
      EXPECT_EQ(model.labels_size(), 3);
    }
    token = response.next_page_token();
  } while (!token.empty() && ids.size() < 10);
  EXPECT_THAT(ids, ::testing::ElementsAre("grey/1", "tiny/2", "tiny/1", "turned/1"));
}

TEST_F(AnswersTest, GetModelTellsTheArchitecture) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_model("tiny");
  v1::GetModelResponse response;
  ASSERT_TRUE(stub().GetModel(&context, request, &response).ok());
  const v1::Model& model = response.model();
  EXPECT_EQ(model.summary().version(), 2);
  EXPECT_EQ(model.image_channels(), 3);
  EXPECT_EQ(model.latent_size(), 8 + 3);
  EXPECT_EQ(model.num_styles(), 5 * 8);
  EXPECT_EQ(std::accumulate(model.layer_styles().begin(), model.layer_styles().end(), 0),
            model.num_styles());
  EXPECT_EQ(model.num_to_rgb_styles(), 3 * 8);
  EXPECT_EQ(model.attributes().classes_size(), 3);
  EXPECT_EQ(model.attributes().styles_size(), 0);
  EXPECT_EQ(model.metrics().at("agreement"), 0.5);
  EXPECT_GT(model.num_parameters(), 1000);
}

TEST_F(AnswersTest, ClassifyDecidesByBrightnessWhateverTheFile) {
  EXPECT_EQ(Classify("tiny", JpegPicture(40, 30, 3, 20)).label(), "dark");
  EXPECT_EQ(Classify("tiny", PngPicture(40, 30, 3, 128)).label(), "medium");
  EXPECT_EQ(Classify("tiny", JpegPicture(16, 16, 1, 235)).label(), "bright");
  EXPECT_EQ(Classify("tiny", PngPicture(1, 1, 3, 240)).label(), "bright");
  EXPECT_EQ(Classify("tiny", CmykJpeg(24, 250)).label(), "bright");
  EXPECT_EQ(Classify("tiny", CmykJpeg(24, 5)).label(), "dark");
  EXPECT_EQ(Classify("tiny", RgbPng(20, 10, 16, false)).label(), "dark");
  EXPECT_EQ(Classify("tiny", RgbPng(20, 240, 8, true)).label(), "bright");
  // Alpha 10 of 255: almost only the white background is visible.
  EXPECT_EQ(Classify("tiny", RgbPng(20, 10, 8, true)).label(), "bright");
  const v1::Prediction prediction = Classify("tiny", PngPicture(16, 16, 3, 128));
  EXPECT_NEAR(
      std::accumulate(prediction.probabilities().begin(), prediction.probabilities().end(), 0.0), 1,
      1e-5);
  EXPECT_EQ(prediction.logits_size(), 3);
}

TEST_F(AnswersTest, TheBuiltInClassifierServesToo) {
  EXPECT_EQ(Classify("grey", JpegPicture(50, 50, 3, 100)).probabilities_size(), 3);
}

TEST_F(AnswersTest, LatentStylesAndImageGiveOneReconstruction) {
  const std::string file = PngPicture(16, 16, 3, 60);
  const v1::EncodeResponse encoded = Encode("tiny", file);
  EXPECT_EQ(encoded.latent().model(), "tiny/2");
  EXPECT_EQ(encoded.latent().values_size(), 11);
  EXPECT_EQ(encoded.styles().values_size(), 40);
  EXPECT_EQ(encoded.styles().to_rgb_size(), 24);
  EXPECT_EQ(encoded.prediction().label(), "dark");
  v1::ReconstructRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(file);
  const v1::ReconstructResponse of_image = Reconstruct(request);
  *request.mutable_latent() = encoded.latent();
  const v1::ReconstructResponse of_latent = Reconstruct(request);
  *request.mutable_styles() = encoded.styles();
  const v1::ReconstructResponse of_styles = Reconstruct(request);
  EXPECT_EQ(Decoded(of_image.image()).width, kSide);
  EXPECT_EQ(of_latent.image().data(), of_image.image().data());
  EXPECT_EQ(of_styles.image().data(), of_image.image().data());
  EXPECT_EQ(of_image.original().label(), "dark");
  EXPECT_FALSE(of_latent.has_original());
  EXPECT_FALSE(of_latent.has_quality());
  EXPECT_GT(of_image.quality().l1(), 0);
  EXPECT_GT(of_image.quality().psnr(), 0);
  EXPECT_EQ(of_image.quality().same_class(), of_image.reconstruction().label() == "dark");
}

TEST_F(AnswersTest, ComponentsAreEncodedMovedAndFoundLikeChannels) {
  const std::string file = PngPicture(16, 16, 3, 60);
  const v1::EncodeResponse encoded = Encode("turned", file);
  EXPECT_EQ(encoded.latent().values_size(), 11);
  EXPECT_EQ(encoded.styles().values_size(), 6);
  EXPECT_EQ(encoded.styles().to_rgb_size(), 5);  // the rest of the latent
  v1::ReconstructRequest request;
  request.set_model("turned");
  *request.mutable_latent() = encoded.latent();
  const v1::ReconstructResponse of_latent = Reconstruct(request);
  *request.mutable_styles() = encoded.styles();
  EXPECT_EQ(Reconstruct(request).image().data(), of_latent.image().data());
  v1::StyleEdit* edit = request.add_edits();
  edit->set_index(5);
  edit->set_shift(1);
  edit->set_direction(v1::DIRECTION_TO_MIN);
  EXPECT_NE(Reconstruct(request).image().data(), of_latent.image().data());

  v1::FindAttributesRequest search;
  search.set_model("turned");
  search.mutable_target_class()->set_label("dark");
  for (const int brightness : {220, 250}) {
    search.add_images()->set_data(PngPicture(16, 16, 3, brightness));
  }
  for (const v1::Search how : {v1::SEARCH_EXHAUSTIVE, v1::SEARCH_SCREENED}) {
    search.set_search(how);
    const auto responses = FindAttributes(search);
    ASSERT_FALSE(responses.empty());
    ASSERT_GE(responses.back().result().attributes_size(), 1);
    for (const v1::Attribute& attribute : responses.back().result().attributes()) {
      EXPECT_LT(attribute.index(), 6);
      EXPECT_EQ(attribute.layer(), 0);
      EXPECT_EQ(attribute.channel(), attribute.index());
    }
  }
}

TEST_F(AnswersTest, DrawnPngsAreMarkedAsSynthetic) {
  v1::ReconstructRequest request;
  request.set_model("tiny/1");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 60));
  const v1::ReconstructResponse png = Reconstruct(request);
  EXPECT_THAT(png.image().data(), HasSubstr("Synthetic image, drawn by the StylEx model tiny/1"));
  EXPECT_THAT(png.image().data(), HasSubstr("trainedAlgorithmicMedia"));
  EXPECT_EQ(png.model(), "tiny/1");
  request.mutable_output_format()->set_encoding(v1::OutputFormat::ENCODING_JPEG);
  request.mutable_output_format()->set_quality(50);
  EXPECT_EQ(DetectFormat(Reconstruct(request).image().data()), ImageFormat::kJpeg);
}

TEST_F(AnswersTest, EditsMoveTheCoordinatesTheyName) {
  const v1::EncodeResponse encoded = Encode("tiny", PngPicture(16, 16, 3, 60));
  v1::ReconstructRequest request;
  request.set_model("tiny");
  *request.mutable_styles() = encoded.styles();
  const v1::ReconstructResponse base = Reconstruct(request);
  v1::StyleEdit* edit = request.add_edits();
  edit->set_index(3);
  edit->set_shift(0);
  EXPECT_EQ(Reconstruct(request).image().data(), base.image().data());
  edit->set_shift(1);
  edit->set_direction(v1::DIRECTION_TO_MIN);
  const v1::ReconstructResponse to_min = Reconstruct(request);
  EXPECT_NE(to_min.image().data(), base.image().data());
  edit->set_direction(v1::DIRECTION_TO_MAX);
  EXPECT_NE(Reconstruct(request).image().data(), to_min.image().data());
}

TEST_F(AnswersTest, TheStoredIndexAnswersAtOnce) {
  v1::FindAttributesRequest request;
  request.set_model("tiny");
  request.mutable_target_class()->set_label("dark");
  request.set_max_attributes(3);
  const auto responses = FindAttributes(request);
  ASSERT_EQ(responses.size(), 1u);
  const v1::AttributeSearchResult& result = responses[0].result();
  EXPECT_TRUE(result.from_index());
  EXPECT_EQ(result.images(), 64);
  ASSERT_EQ(result.attributes_size(), 3);
  EXPECT_EQ(result.attributes(0).name(), "gloom");
  EXPECT_EQ(result.model(), "tiny/2");
  EXPECT_EQ(result.target_class_id(), 0);
}

TEST_F(AnswersTest, ASearchTellsItsProgressAndThenItsResult) {
  for (const v1::Search search : {v1::SEARCH_EXHAUSTIVE, v1::SEARCH_SCREENED}) {
    for (const v1::Strategy strategy : {v1::STRATEGY_INDEPENDENT, v1::STRATEGY_SUBSET}) {
      v1::FindAttributesRequest request;
      request.set_model("tiny");
      request.mutable_target_class()->set_label("dark");
      request.set_max_attributes(4);
      request.set_search(search);
      request.set_strategy(strategy);
      for (const int brightness : {20, 220, 235, 250}) {
        request.add_images()->set_data(PngPicture(16, 16, 3, brightness));
      }
      const auto responses = FindAttributes(request);
      ASSERT_GE(responses.size(), 2u);
      EXPECT_TRUE(responses.front().has_progress());
      EXPECT_GT(responses.front().progress().total(), 0);
      ASSERT_TRUE(responses.back().has_result());
      const v1::AttributeSearchResult& result = responses.back().result();
      EXPECT_FALSE(result.from_index());
      EXPECT_EQ(result.images() + result.skipped_images(), 4);
      EXPECT_GE(result.skipped_images(), 1);  // the dark image
      EXPECT_GE(result.images(), 1);
      EXPECT_GT(result.evaluations(), 0);
      EXPECT_EQ(result.search(), search);
      if (search == v1::SEARCH_EXHAUSTIVE) {
        EXPECT_EQ(result.confidence(), 1);
      } else if (strategy == v1::STRATEGY_INDEPENDENT) {
        EXPECT_GT(result.confidence(), 0);
        EXPECT_LE(result.confidence(), 1);
      }
      EXPECT_GE(result.attributes_size(), 1);
      for (const v1::Attribute& attribute : result.attributes()) {
        EXPECT_GE(attribute.index(), 0);
        EXPECT_LT(attribute.index(), 40);
        EXPECT_EQ(attribute.layer(), attribute.index() / 8);
        EXPECT_EQ(attribute.channel(), attribute.index() % 8);
      }
    }
  }
}

TEST_F(AnswersTest, ASearchIsScreenedWhereThatIsKnownToAgree) {
  for (const auto& [strategy, search] : {std::pair(v1::STRATEGY_UNSPECIFIED, v1::SEARCH_SCREENED),
                                         std::pair(v1::STRATEGY_INDEPENDENT, v1::SEARCH_SCREENED),
                                         std::pair(v1::STRATEGY_SUBSET, v1::SEARCH_EXHAUSTIVE)}) {
    v1::FindAttributesRequest request;
    request.set_model("tiny");
    request.mutable_target_class()->set_label("dark");
    request.set_strategy(strategy);
    for (const int brightness : {220, 235, 250}) {
      request.add_images()->set_data(PngPicture(16, 16, 3, brightness));
    }
    const auto responses = FindAttributes(request);
    ASSERT_FALSE(responses.empty());
    EXPECT_GE(responses.back().result().images(), 2);
    EXPECT_EQ(responses.back().result().search(), search) << v1::Strategy_Name(strategy);
  }
}

TEST_F(AnswersTest, ASearchOverTheTargetsOwnImagesIsEmpty) {
  v1::FindAttributesRequest request;
  request.set_model("tiny");
  request.mutable_target_class()->set_label("bright");
  request.add_images()->set_data(PngPicture(16, 16, 3, 250));
  const auto responses = FindAttributes(request);
  ASSERT_FALSE(responses.empty());
  EXPECT_EQ(responses.back().result().images(), 0);
  EXPECT_EQ(responses.back().result().skipped_images(), 1);
  EXPECT_EQ(responses.back().result().attributes_size(), 0);
}

// Checks the invariants of counterfactual answers.
void CheckConsistency(const v1::CounterfactualResponse& response) {
  EXPECT_EQ(response.convincing(), response.reason().empty());
  EXPECT_EQ(response.convincing(), response.reason_code() == v1::COUNTERFACTUAL_REASON_UNSPECIFIED);
  EXPECT_TRUE(response.flipped() || !response.convincing());
  EXPECT_EQ(response.flipped(), response.has_just_flips());
  if (response.flipped()) {
    EXPECT_EQ(response.counterfactual_prediction().class_id(), response.target_class_id());
    EXPECT_GE(response.applied_size(), 1);
    EXPECT_NE(response.reconstruction().data(), response.counterfactual().data());
    EXPECT_LE(response.just_flips().moves_size(), response.applied_size());
    EXPECT_EQ(response.just_flips().last_shift(), response.just_flips().moves().rbegin()->shift());
  }
  EXPECT_EQ(response.steps_size(), response.applied_size());
  if (response.steps_size() > 0) {
    EXPECT_EQ(response.steps().rbegin()->data(), response.counterfactual().data());
    EXPECT_NEAR(response.applied().rbegin()->target_probability(),
                response.counterfactual_prediction().probabilities(response.target_class_id()),
                1e-6);
  }
  for (const v1::AppliedAttribute& applied : response.applied()) {
    EXPECT_NE(applied.value_before(), applied.value_after());
    EXPECT_EQ(applied.attribute().model(), response.model());
  }
  EXPECT_FALSE(response.difference().data().empty());
  EXPECT_GT(response.difference_scale(), 0);
}

// Sends every image of an answer back: what the answer says of it must be what is said of the file.
void AnswersTest::CheckDelivered(const v1::CounterfactualRequest& request,
                                 const v1::CounterfactualResponse& response) {
  const auto told = [&](const v1::Image& image, const v1::Prediction& prediction) {
    const v1::Prediction of_file = Classify(request.model(), image.data());
    EXPECT_EQ(of_file.class_id(), prediction.class_id());
    EXPECT_THAT(of_file.logits(), Pointwise(FloatNear(1e-4f), prediction.logits()));
  };
  told(response.reconstruction(), response.reconstruction_prediction());
  told(response.counterfactual(), response.counterfactual_prediction());
  for (int k = 0; k < response.steps_size(); ++k) {
    const v1::Prediction of_file = Classify(request.model(), response.steps(k).data());
    EXPECT_EQ(of_file.class_id(), response.applied(k).class_id());
    EXPECT_NEAR(of_file.probabilities(response.target_class_id()),
                response.applied(k).target_probability(), 1e-5);
  }
  if (!response.flipped()) {
    return;
  }
  EXPECT_EQ(Classify(request.model(), response.counterfactual().data()).class_id(),
            response.target_class_id());
  // Where the border is crossed, drawn again.
  v1::ReconstructRequest border;
  border.set_model(request.model());
  *border.mutable_image() = request.image();
  *border.mutable_edits() = response.just_flips().moves();
  *border.mutable_output_format() = request.output_format();
  const v1::ReconstructResponse drawn = Reconstruct(border);
  told(drawn.image(), drawn.reconstruction());
  EXPECT_EQ(drawn.reconstruction().class_id(), response.target_class_id());
  EXPECT_NEAR(drawn.reconstruction().probabilities(response.target_class_id()),
              response.just_flips().probability(), 1e-4);
}

TEST_F(AnswersTest, CounterfactualsAreWhatTheySayToTheByte) {
  int flipped = 0, convincing = 0;
  for (const int quality : {0, 90, 20}) {
    for (const bool by_default : {true, false}) {
      for (const int brightness : {20, 128, 240}) {
        for (const char* target : {"dark", "medium", "bright"}) {
          v1::CounterfactualRequest request;
          request.set_model("tiny");
          request.mutable_image()->set_data(PngPicture(16, 16, 3, brightness));
          request.mutable_target_class()->set_label(target);
          request.set_include_steps(true);
          request.set_include_difference(true);
          if (!by_default) {
            request.set_target_probability(0);
          }
          if (quality > 0) {
            request.mutable_output_format()->set_encoding(v1::OutputFormat::ENCODING_JPEG);
            request.mutable_output_format()->set_quality(quality);
          }
          const v1::CounterfactualResponse response = Counterfactual(request);
          SCOPED_TRACE(response.original_prediction().label() + " to " + target + ", quality " +
                       std::to_string(quality) + ": " + response.reason());
          CheckConsistency(response);
          CheckDelivered(request, response);
          EXPECT_EQ(response.target_label(), target);
          EXPECT_EQ(response.original_prediction().label() == target,
                    response.reason_code() == v1::COUNTERFACTUAL_REASON_IMAGE_ALREADY_TARGET);
          if (response.convincing()) {
            EXPECT_GE(
                response.counterfactual_prediction().probabilities(response.target_class_id()),
                by_default ? 0.9 : 0);
          }
          flipped += response.flipped() ? 1 : 0;
          convincing += response.convincing() ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GE(flipped, 6);
  EXPECT_GE(convincing, 3);
}

// `applied` as edits of Reconstruct.
v1::ReconstructRequest Again(const v1::CounterfactualRequest& request,
                             const v1::CounterfactualResponse& response) {
  v1::ReconstructRequest again;
  again.set_model(request.model());
  *again.mutable_image() = request.image();
  *again.mutable_output_format() = request.output_format();
  for (const v1::AppliedAttribute& applied : response.applied()) {
    v1::StyleEdit* edit = again.add_edits();
    edit->set_index(applied.attribute().index());
    edit->set_shift(applied.shift());
    edit->set_direction(applied.attribute().direction());
  }
  again.set_local(response.local_applied());
  return again;
}

TEST_F(AnswersTest, LocalChangesOfAHundredImagesAreDrawnAgainToTheByte) {
  int masked = 0;
  for (int i = 0; i < 100; ++i) {
    v1::CounterfactualRequest request;
    request.set_model(i % 5 == 4 ? "turned" : "tiny");
    request.mutable_image()->set_data(PngPicture(16 + i % 7, 16, 3, 3 + 5 * i / 2));
    request.set_local(true);
    if (i % 2 == 1) {
      request.set_target_probability(0);
    }
    if (i % 4 > 1) {
      request.mutable_output_format()->set_encoding(v1::OutputFormat::ENCODING_JPEG);
    }
    const v1::CounterfactualResponse response = Counterfactual(request);
    SCOPED_TRACE(std::to_string(i) + ", towards " + response.target_label());
    const v1::ReconstructRequest again = Again(request, response);
    EXPECT_EQ(Reconstruct(again).image().data(), response.counterfactual().data());
    const v1::Prediction of_file = Classify(request.model(), response.counterfactual().data());
    EXPECT_EQ(of_file.class_id(), response.counterfactual_prediction().class_id());
    if (response.flipped()) {
      EXPECT_EQ(of_file.class_id(), response.target_class_id());
    }
    if (response.convincing() && i % 2 == 0) {
      EXPECT_GE(of_file.probabilities(response.target_class_id()), 0.9);
    }
    EXPECT_TRUE(response.applied_size() > 0 || !response.local_applied());
    masked += response.local_applied() ? 1 : 0;
  }
  EXPECT_GE(masked, 20);
}

// Moves that just suffice, the last of which cannot be stronger.
TEST_F(AnswersTest, WhereTheMaskCostsTheDecisionTheAnswerIsWhole) {
  int lost = 0;
  for (int brightness = 20; brightness < 250; brightness += 10) {
    v1::CounterfactualRequest request;
    request.set_model("tiny");
    request.mutable_image()->set_data(PngPicture(16, 16, 3, brightness));
    request.set_target_probability(0);
    request.set_minimal(false);
    request.set_shift(0.125);
    const v1::CounterfactualResponse whole = Counterfactual(request);
    request.set_local(true);
    const v1::CounterfactualResponse local = Counterfactual(request);
    EXPECT_EQ(local.flipped(), whole.flipped());
    if (!whole.flipped() || local.local_applied()) {
      continue;
    }
    ++lost;
    EXPECT_EQ(local.counterfactual().data(), whole.counterfactual().data());
    v1::ReconstructRequest masked = Again(request, local);
    masked.set_local(true);
    EXPECT_NE(Reconstruct(masked).reconstruction().class_id(), local.target_class_id());
  }
  EXPECT_GE(lost, 1);
}

// What is not asked for is neither computed nor claimed.
TEST_F(AnswersTest, WithoutLocalNothingIsMasked) {
  for (const int brightness : {20, 100, 160, 240}) {
    v1::CounterfactualRequest request;
    request.set_model("tiny");
    request.mutable_image()->set_data(PngPicture(16, 16, 3, brightness));
    request.set_include_steps(true);
    const v1::CounterfactualResponse by_default = Counterfactual(request);
    EXPECT_FALSE(by_default.local_applied());
    EXPECT_FALSE(by_default.has_on_photograph());
    EXPECT_FALSE(by_default.has_on_photograph_prediction());
    EXPECT_FALSE(by_default.holds_on_photograph());
    request.set_local(true);
    const v1::CounterfactualResponse local = Counterfactual(request);
    ASSERT_EQ(local.applied_size(), by_default.applied_size());
    EXPECT_EQ(local.flipped(), by_default.flipped());
    EXPECT_EQ(local.convincing(), by_default.convincing());
    EXPECT_EQ(local.reconstruction().data(), by_default.reconstruction().data());
    if (local.steps_size() > 0) {
      EXPECT_EQ(local.steps().rbegin()->data() == local.counterfactual().data(),
                !local.local_applied())
          << "steps are not masked";
    }
  }
}

TEST_F(AnswersTest, TheChangeOnThePhotographIsWhatItSaysToTheByte) {
  int holds = 0, fails = 0;
  for (int brightness = 10; brightness < 250; brightness += 12) {
    v1::CounterfactualRequest request;
    request.set_model("tiny/2");
    request.mutable_image()->set_data(PngPicture(24, 20, 3, brightness));
    request.set_include_on_photograph(true);
    request.set_local(brightness % 24 == 10);
    const v1::CounterfactualResponse response = Counterfactual(request);
    const std::string& file = response.on_photograph().data();
    EXPECT_EQ(Decoded(response.on_photograph()).width, kSide);
    EXPECT_THAT(file, HasSubstr("Synthetic image, drawn by the StylEx model tiny/2"));
    EXPECT_THAT(file, HasSubstr("trainedAlgorithmicMedia"));
    const v1::Prediction of_file = Classify(request.model(), file);
    EXPECT_THAT(of_file.logits(),
                Pointwise(FloatNear(1e-4f), response.on_photograph_prediction().logits()));
    EXPECT_EQ(response.holds_on_photograph(), of_file.class_id() == response.target_class_id());
    (response.holds_on_photograph() ? holds : fails) += 1;
  }
  EXPECT_GE(holds, 1);
  EXPECT_GE(fails, 1);
}

// The classifier's greatest probability of "medium" is 0.58.
TEST_F(AnswersTest, AFlipThatDoesNotConvinceSaysSo) {
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  request.mutable_target_class()->set_label("medium");
  request.set_target_probability(0);
  ASSERT_TRUE(Counterfactual(request).convincing());
  request.clear_target_probability();
  const v1::CounterfactualResponse response = Counterfactual(request);
  EXPECT_TRUE(response.flipped());
  EXPECT_FALSE(response.convincing());
  EXPECT_EQ(response.reason_code(), v1::COUNTERFACTUAL_REASON_PROBABILITY_NOT_REACHED);
  EXPECT_THAT(response.reason(), HasSubstr("stayed below 0.9"));
  EXPECT_GE(response.counterfactual_prediction().probabilities(1),
            response.just_flips().probability() - 1e-6);
}

TEST_F(AnswersTest, AnotherVersionsAttributeIsRefused) {
  v1::FindAttributesRequest search;
  search.set_model("tiny/1");
  search.mutable_target_class()->set_label("bright");
  const auto found = FindAttributes(search);
  ASSERT_EQ(found.size(), 1u);
  ASSERT_GE(found[0].result().attributes_size(), 1);
  const v1::Attribute attribute = found[0].result().attributes(0);
  EXPECT_EQ(attribute.model(), "tiny/1");

  v1::CounterfactualRequest request;
  request.set_model("tiny/2");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  *request.add_attributes() = attribute;
  grpc::ClientContext context;
  v1::CounterfactualResponse response;
  const grpc::Status refused = stub().Counterfactual(&context, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("attributes[0].model is 'tiny/1'"));
  v1::TraverseRequest traverse;
  traverse.set_model("tiny/2");
  *traverse.mutable_image() = request.image();
  *traverse.mutable_attribute() = attribute;
  grpc::ClientContext of_stream;
  const auto stream = stub().Traverse(&of_stream, traverse);
  v1::TraverseResponse frame;
  EXPECT_FALSE(stream->Read(&frame));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  request.set_model("tiny/1");
  EXPECT_EQ(Counterfactual(request).model(), "tiny/1");
}

// tiny/1 knows the reconstruction errors of held-out images, which are tiny.
TEST_F(AnswersTest, WhatIsUnlikeTheTrainingImagesIsSaid) {
  v1::ReconstructRequest request;
  request.set_model("tiny/1");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 60));
  const v1::ReconstructResponse strange = Reconstruct(request);
  EXPECT_EQ(strange.quality().percentile(), 100);
  EXPECT_TRUE(strange.quality().unlike_training());
  request.set_model("tiny/2");
  const v1::ReconstructResponse unknown = Reconstruct(request);
  EXPECT_FALSE(unknown.quality().has_percentile());
  EXPECT_FALSE(unknown.quality().unlike_training());
}

TEST_F(AnswersTest, ACounterfactualAimsAtTheRunnerUp) {
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  EXPECT_EQ(Counterfactual(request).target_label(), "medium");
}

TEST_F(AnswersTest, ACertificateIsGivenWhenAskedFor) {
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  request.set_target_probability(0);
  const v1::CounterfactualResponse without = Counterfactual(request);
  ASSERT_TRUE(without.flipped());
  EXPECT_FALSE(without.has_certificate());
  request.set_certificate_candidates(6);
  const v1::CounterfactualResponse with = Counterfactual(request);
  ASSERT_TRUE(with.flipped());
  ASSERT_TRUE(with.has_certificate());
  EXPECT_LE(with.applied_size(), without.applied_size());
  EXPECT_EQ(with.certificate().candidates(), with.applied_size() == 1 ? 0 : 6);
  EXPECT_EQ(with.certificate().subsets() > 0, with.applied_size() > 1);
}

TEST_F(AnswersTest, NoCounterfactualIsAnAnswer) {
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  request.mutable_target_class()->set_label("bright");
  request.set_target_probability(1);
  request.set_max_attributes(1);
  const v1::CounterfactualResponse response = Counterfactual(request);
  EXPECT_FALSE(response.convincing());
  EXPECT_FALSE(response.reason().empty());
  EXPECT_FALSE(response.counterfactual().data().empty());
}

TEST_F(AnswersTest, OnlyTheAttributesAskedForAreMoved) {
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  request.mutable_target_class()->set_label("bright");
  for (const int index : {7, 11}) {
    request.add_attributes()->set_index(index);
  }
  const v1::CounterfactualResponse response = Counterfactual(request);
  for (const v1::AppliedAttribute& applied : response.applied()) {
    EXPECT_THAT(applied.attribute().index(), ::testing::AnyOf(7, 11));
    EXPECT_EQ(applied.attribute().direction(), v1::DIRECTION_TO_MAX);
  }
}

TEST_F(AnswersTest, TraverseGoesFromOneEndToTheOther) {
  v1::TraverseRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 60));
  request.mutable_attribute()->set_index(12);
  request.set_steps(5);
  grpc::ClientContext context;
  const auto frames = ReadAll(stub().Traverse(&context, request).get());
  ASSERT_EQ(frames.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(frames[i].step(), i);
    EXPECT_NEAR(frames[i].shift(), i / 4.0, 1e-12);
    EXPECT_EQ(frames[i].prediction().probabilities_size(), 3);
    EXPECT_THAT(Classify("tiny", frames[i].image().data()).logits(),
                Pointwise(FloatNear(1e-4f), frames[i].prediction().logits()));
  }
  v1::ReconstructRequest reconstruct;
  reconstruct.set_model("tiny");
  *reconstruct.mutable_image() = request.image();
  EXPECT_EQ(frames[0].image().data(), Reconstruct(reconstruct).image().data());
  reconstruct.add_edits()->set_index(12);
  reconstruct.mutable_edits(0)->set_shift(1);
  EXPECT_EQ(frames[4].image().data(), Reconstruct(reconstruct).image().data());
}

TEST_F(AnswersTest, TraverseMasksItsFramesAsReconstructDoes) {
  v1::TraverseRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 60));
  request.mutable_attribute()->set_index(12);
  request.set_steps(3);
  request.set_local(true);
  grpc::ClientContext context;
  const auto frames = ReadAll(stub().Traverse(&context, request).get());
  ASSERT_EQ(frames.size(), 3u);
  v1::ReconstructRequest edited;
  edited.set_model("tiny");
  *edited.mutable_image() = request.image();
  EXPECT_EQ(frames[0].image().data(), Reconstruct(edited).image().data());
  edited.add_edits()->set_index(12);
  edited.mutable_edits(0)->set_shift(1);
  EXPECT_NE(frames[2].image().data(), Reconstruct(edited).image().data());
  edited.set_local(true);
  const Bitmap frame = Decoded(frames[2].image());
  const Bitmap alone = Decoded(Reconstruct(edited).image());
  ASSERT_EQ(frame.data.size(), alone.data.size());
  for (size_t i = 0; i < frame.data.size(); ++i) {
    EXPECT_NEAR(frame.data[i], alone.data[i], 1);
  }
}

TEST_F(AnswersTest, TraverseTakesStylesAndARange) {
  v1::TraverseRequest request;
  request.set_model("tiny");
  *request.mutable_styles() = Encode("tiny", PngPicture(16, 16, 3, 60)).styles();
  request.mutable_attribute()->set_index(0);
  request.mutable_attribute()->set_direction(v1::DIRECTION_TO_MIN);
  request.set_shift_from(-1);
  request.set_shift_to(2);
  grpc::ClientContext context;
  const auto frames = ReadAll(stub().Traverse(&context, request).get());
  ASSERT_EQ(frames.size(), 9u);
  EXPECT_EQ(frames.front().shift(), -1);
  EXPECT_EQ(frames.back().shift(), 2);
}

// Concurrent calls share a batch, which may change the last bits but nothing else.
TEST_F(AnswersTest, OneImageGivesOneAnswerHoweverManyAsk) {
  const std::string file = JpegPicture(33, 21, 3, 77);
  const v1::EncodeResponse expected = Encode("tiny", file);
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        const v1::EncodeResponse encoded = Encode("tiny", file);
        EXPECT_THAT(encoded.latent().values(),
                    Pointwise(FloatNear(1e-4f), expected.latent().values()));
        EXPECT_THAT(encoded.styles().values(),
                    Pointwise(FloatNear(1e-4f), expected.styles().values()));
        EXPECT_THAT(encoded.prediction().logits(),
                    Pointwise(FloatNear(1e-4f), expected.prediction().logits()));
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
}

}  // namespace
}  // namespace stylex
