// The RPC methods without a socket: requests are built, handlers called, works run, with a small
// random model. Answers are compared with the networks called directly.
#include "server/handlers/handlers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "explain/local_change.h"
#include "models/pixels.h"
#include "server/handlers/request_checks.h"
#include "server/repository/served_model.h"
#include "server/rpc/errors.h"
#include "tests/explain/tiny_model.h"
#include "tests/server/rpc/error_details.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// Keeps what a stream would have sent.
template <class Response>
class KeptStream : public StreamSink<Response> {
 public:
  void Write(Response response) override { sent.push_back(std::move(response)); }
  void WriteLatest(Response response) override { latest.push_back(std::move(response)); }
  std::vector<Response> sent, latest;
};

// Two versions of a model with an index, and one without.
class HandlersTest : public testing::Test {
 protected:
  HandlersTest() : tiny_(MakeTinyModel(31)) {
    models_ = std::make_unique<ModelRepository>(ModelRepository::Callbacks{
        .list =
            [] {
              return std::vector<VersionPath>{
                  {"tiny", 2, "/m/tiny/2"}, {"tiny", 1, "/m/tiny/1"}, {"bare", 1, "/m/bare/1"}};
            },
        .load = [this](const VersionPath& version) { return Load(version); },
        .on_name = [](const std::string&, bool) {},
        .on_loaded = [this] { loaded_.set_value(); }});
    models_->Start();
    loaded_.get_future().wait();
    context_ = {
        .models = models_.get(), .device = &device_, .decode_limits = {}, .clock = &Clock::Real()};
  }

  absl::StatusOr<LoadedVersion> Load(const VersionPath& version) const {
    std::optional<v1::AttributeIndex> index;
    if (version.name == "tiny") {
      index.emplace();
      RangesToIndex(tiny_.ranges, &*index);
      v1::ClassAttributes* of_class = index->add_classes();
      of_class->set_class_id(2);
      of_class->set_images(64);
      for (const int coordinate : {7, 3, 30}) {
        v1::Attribute* attribute = of_class->add_attributes();
        attribute->set_index(coordinate);
        attribute->set_direction(v1::DIRECTION_TO_MAX);
        attribute->set_name("attribute " + std::to_string(coordinate));
      }
    }
    return LoadedVersion{.model = std::make_shared<ServedModel>(version.name, version.version,
                                                                Checkpoint{tiny_.stylex, index}),
                         .resolution = kTinyResolution,
                         .labels = {"a", "b", "c", "d"}};
  }

  // Runs a handler's work to its end.
  template <class Response>
  absl::StatusOr<Response> Answer(const UnaryWork<Response>& work) {
    if (!work.ok()) {
      return work.status();
    }
    Response response;
    const absl::Status status = work->run(cancellation_, &response);
    return status.ok() ? absl::StatusOr<Response>(response) : status;
  }
  template <class Response>
  absl::StatusOr<KeptStream<Response>> Stream(const StreamWork<Response>& work) {
    if (!work.ok()) {
      return work.status();
    }
    KeptStream<Response> sink;
    const absl::Status status = work->run(cancellation_, &sink);
    return status.ok() ? absl::StatusOr<KeptStream<Response>>(std::move(sink)) : status;
  }

  // A photograph, as the model sees it and as a request holds it.
  static Bitmap Photograph(uint8_t seed) {
    Bitmap bitmap = Bitmap::Make(kTinyResolution, kTinyResolution, 1);
    for (size_t i = 0; i < bitmap.data.size(); ++i) {
      bitmap.data[i] = static_cast<uint8_t>((i * 31 + seed * 97) % 253);
    }
    return bitmap;
  }
  static v1::Image Sent(uint8_t seed) {
    v1::Image image;
    image.set_data(EncodePng(Photograph(seed)).value());
    return image;
  }
  static torch::Tensor Seen(const v1::Image& image) {
    return BitmapToTensor(DecodeImage(image.data()).value());
  }
  // Fields that a refusal names.
  static std::vector<std::string> FieldsOf(const absl::Status& status) {
    return ViolatedFields(ToGrpcStatus(status, "id"));
  }
  void ExpectDecision(const v1::Prediction& found, const torch::Tensor& logits) {
    const torch::Tensor probabilities = torch::softmax(logits.flatten(), 0);
    ASSERT_EQ(found.logits_size(), kTinyClasses);
    for (int k = 0; k < kTinyClasses; ++k) {
      EXPECT_NEAR(found.logits(k), logits.flatten()[k].item<float>(), 1e-3);
      EXPECT_NEAR(found.probabilities(k), probabilities[k].item<float>(), 1e-3);
    }
    EXPECT_EQ(found.class_id(), logits.argmax().item<int64_t>());
    EXPECT_EQ(found.label(), std::string(1, static_cast<char>('a' + found.class_id())));
  }

  const torch::NoGradGuard no_grad_;
  TinyModel tiny_;
  DeviceScheduler device_{{}, &Clock::Real()};
  std::promise<void> loaded_;
  std::unique_ptr<ModelRepository> models_;
  HandlerContext context_;
  Cancellation cancellation_{&Clock::Real(), absl::InfiniteFuture()};
};

TEST_F(HandlersTest, ListModelsGoesPageByPageByNameNewestFirst) {
  v1::ListModelsRequest request;
  request.set_page_size(2);
  std::vector<std::string> listed;
  int pages = 0;
  do {
    const v1::ListModelsResponse page = Answer(ListModels(context_, request)).value();
    for (const v1::ModelSummary& model : page.models()) {
      listed.push_back(model.name() + "/" + std::to_string(model.version()));
    }
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_THAT(listed, ElementsAre("bare/1", "tiny/2", "tiny/1"));
  EXPECT_EQ(pages, 2);
  request.set_page_size(0);
  const v1::ListModelsResponse all = Answer(ListModels(context_, request)).value();
  EXPECT_EQ(all.models_size(), 3);
  EXPECT_EQ(all.next_page_token(), "");
}

TEST_F(HandlersTest, ListModelsRefusesTokensThatItDidNotGive) {
  for (const char* token : {"x", "YWZ0ZXI6", "YWZ0ZXI6eDp5", "!!!"}) {
    v1::ListModelsRequest request;
    request.set_page_token(token);
    request.set_page_size(-1);
    EXPECT_THAT(FieldsOf(ListModels(context_, request).status()),
                ElementsAre("page_size", "page_token"))
        << token;
  }
}

TEST_F(HandlersTest, GetModelDescribesOneWithoutAWorker) {
  v1::GetModelRequest request;
  request.set_model("tiny/1");
  const auto work = GetModel(context_, request);
  ASSERT_TRUE(work.ok());
  EXPECT_EQ(work->effort, Effort::kCheap);
  const v1::Model model = Answer(work).value().model();
  EXPECT_EQ(model.summary().version(), 1);
  EXPECT_EQ(model.num_styles(), kTinyCoordinates);
  request.set_model("nobody");
  EXPECT_EQ(GetModel(context_, request).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(HandlersTest, ClassifySaysWhatTheClassifierSays) {
  v1::ClassifyRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(1);
  const v1::ClassifyResponse response = Answer(Classify(context_, request)).value();
  EXPECT_EQ(response.model(), "tiny/2") << "the newest";
  ExpectDecision(response.prediction(), tiny_.stylex.Logits(Seen(request.image())));
}

TEST_F(HandlersTest, EncodeGivesWhatReconstructTakes) {
  v1::EncodeRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(2);
  const v1::EncodeResponse encoded = Answer(Encode(context_, request)).value();
  EXPECT_EQ(encoded.latent().values_size(), tiny_.stylex.w_size());
  EXPECT_EQ(encoded.styles().values_size(), kTinyCoordinates);
  v1::ReconstructRequest of_image, of_latent, of_styles;
  *of_image.mutable_image() = request.image();
  *of_latent.mutable_latent() = encoded.latent();
  *of_styles.mutable_styles() = encoded.styles();
  std::vector<Bitmap> drawn;
  for (v1::ReconstructRequest* again : {&of_image, &of_latent, &of_styles}) {
    again->set_model("tiny");
    const v1::ReconstructResponse response = Answer(Reconstruct(context_, *again)).value();
    drawn.push_back(DecodeImage(response.image().data()).value());
    EXPECT_EQ(response.has_quality(), again == &of_image) << "there is nothing to compare with";
    EXPECT_EQ(response.has_original(), again == &of_image);
  }
  const torch::Tensor expected =
      tiny_.stylex.Synthesize(tiny_.stylex.StylesOfImages(Seen(request.image())));
  for (const Bitmap& bitmap : drawn) {
    EXPECT_LT((BitmapToTensor(bitmap) - expected).abs().max().item<double>(), 1.5 / 127.5);
  }
}

TEST_F(HandlersTest, EditsMoveStylesAndWhatIsToldIsOfTheFile) {
  v1::ReconstructRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(3);
  v1::StyleEdit* edit = request.add_edits();
  edit->set_index(30);
  edit->set_shift(1.5);
  edit->set_direction(v1::DIRECTION_TO_MIN);
  const v1::ReconstructResponse response = Answer(Reconstruct(context_, request)).value();
  const Move move = {{30, 0}, 1.5};
  const StyleVectors styles = tiny_.stylex.StylesOfImages(Seen(request.image()));
  const torch::Tensor expected =
      tiny_.stylex.Synthesize(ApplyMoves(styles, tiny_.ranges, {&move, 1}));
  EXPECT_LT((Seen(response.image()) - expected).abs().max().item<double>(), 1.5 / 127.5);
  EXPECT_GT((expected - tiny_.stylex.Synthesize(styles)).abs().max().item<double>(), 0.01)
      << "nothing has moved";
  ExpectDecision(response.reconstruction(), tiny_.stylex.Logits(Seen(response.image())));
}

TEST_F(HandlersTest, StylesOfAnotherVersionAreRefused) {
  v1::EncodeRequest encode;
  encode.set_model("tiny/1");
  *encode.mutable_image() = Sent(4);
  v1::ReconstructRequest request;
  request.set_model("tiny/2");
  *request.mutable_styles() = Answer(Encode(context_, encode)).value().styles();
  EXPECT_EQ(Reconstruct(context_, request).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(HandlersTest, StylesTooLargeToDrawAreAFaultOfTheirField) {
  v1::ReconstructRequest request;
  request.set_model("tiny");
  request.mutable_styles()->set_model("tiny/2");
  request.mutable_styles()->mutable_values()->Resize(kTinyCoordinates, 1);
  request.mutable_styles()->mutable_to_rgb()->Resize(24, 3e38f);
  const absl::Status status = Answer(Reconstruct(context_, request)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(FieldsOf(status), ElementsAre("styles.values"));
}

// Every fault at once, before anything is decoded.
TEST_F(HandlersTest, FaultsAreFoundAtOnceAndAllOfThem) {
  v1::ReconstructRequest reconstruct;
  reconstruct.set_model("tiny");
  reconstruct.add_edits()->set_index(1000);
  reconstruct.mutable_output_format()->set_quality(500);
  EXPECT_THAT(FieldsOf(Reconstruct(context_, reconstruct).status()),
              testing::IsSupersetOf({"source", "edits[0].index"}));
  v1::CounterfactualRequest counterfactual;
  counterfactual.set_model("tiny");
  counterfactual.set_max_attributes(-1);
  counterfactual.set_shift(9);
  counterfactual.set_target_probability(1.5);
  counterfactual.mutable_target_class()->set_label("zebra");
  counterfactual.set_certificate_candidates(17);
  EXPECT_THAT(
      FieldsOf(Counterfactual(context_, counterfactual).status()),
      testing::UnorderedElementsAre("image", "target_class.label", "max_attributes", "shift",
                                    "target_probability", "certificate_candidates"));
  v1::TraverseRequest traverse;
  traverse.set_model("tiny");
  traverse.set_steps(1);
  traverse.set_shift_from(-5);
  EXPECT_THAT(FieldsOf(Traverse(context_, traverse).status()),
              testing::UnorderedElementsAre("source", "attribute", "steps", "shift_from"));
  v1::FindAttributesRequest search;
  search.set_model("tiny");
  search.set_threshold(-1);
  EXPECT_THAT(FieldsOf(FindAttributes(context_, search).status()),
              testing::UnorderedElementsAre("target_class", "threshold"));
}

// An empty image is two bytes of a request; a fault for each of millions would take gigabytes.
TEST_F(HandlersTest, OfTooManyImagesOneFaultIsTold) {
  v1::FindAttributesRequest search;
  search.set_model("tiny");
  search.mutable_target_class()->set_class_id(0);
  for (int i = 0; i <= kMaxSearchImages; ++i) {
    search.add_images();
  }
  EXPECT_THAT(FieldsOf(FindAttributes(context_, search).status()), ElementsAre("images"));
}

TEST_F(HandlersTest, AnUnknownModelIsNotFoundWhateverElseIsWrong) {
  v1::ClassifyRequest classify;
  classify.set_model("nobody");
  EXPECT_EQ(Classify(context_, classify).status().code(), absl::StatusCode::kNotFound);
  v1::TraverseRequest traverse;
  traverse.set_model("tiny/9");
  EXPECT_EQ(Traverse(context_, traverse).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(HandlersTest, WithoutAnIndexNothingCanBeMoved) {
  v1::CounterfactualRequest counterfactual;
  counterfactual.set_model("bare");
  *counterfactual.mutable_image() = Sent(5);
  EXPECT_EQ(Counterfactual(context_, counterfactual).status().code(),
            absl::StatusCode::kFailedPrecondition);
  v1::TraverseRequest traverse;
  traverse.set_model("bare");
  *traverse.mutable_image() = Sent(5);
  traverse.mutable_attribute()->set_index(1);
  EXPECT_EQ(Traverse(context_, traverse).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(HandlersTest, TraverseDrawsEachFrameAtItsShift) {
  v1::TraverseRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(6);
  request.mutable_attribute()->set_index(35);
  request.mutable_attribute()->set_direction(v1::DIRECTION_TO_MAX);
  request.set_steps(5);
  request.set_shift_from(-1);
  request.set_shift_to(1);
  const auto stream = Stream(Traverse(context_, request));
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_EQ(stream->sent.size(), 5);
  const StyleVectors styles = tiny_.stylex.StylesOfImages(Seen(request.image()));
  for (int i = 0; i < 5; ++i) {
    const v1::TraverseResponse& frame = stream->sent[static_cast<size_t>(i)];
    EXPECT_EQ(frame.step(), i);
    EXPECT_DOUBLE_EQ(frame.shift(), -1 + 0.5 * i);
    const Move move = {{35, 1}, frame.shift()};
    const torch::Tensor expected =
        tiny_.stylex.Synthesize(ApplyMoves(styles, tiny_.ranges, {&move, 1}));
    EXPECT_LT((Seen(frame.image()) - expected).abs().max().item<double>(), 1.5 / 127.5) << i;
    ExpectDecision(frame.prediction(), tiny_.stylex.Logits(Seen(frame.image())));
  }
}

TEST_F(HandlersTest, ACounterfactualIsWhatItClaims) {
  int flipped = 0;
  for (const uint8_t seed : {11, 12, 13, 14}) {
    v1::CounterfactualRequest request;
    request.set_model("tiny");
    *request.mutable_image() = Sent(seed);
    request.set_target_probability(0);
    request.set_include_steps(true);
    request.set_include_difference(true);
    const v1::CounterfactualResponse response = Answer(Counterfactual(context_, request)).value();
    const torch::Tensor logits = tiny_.stylex.Logits(Seen(response.counterfactual()));
    ExpectDecision(response.counterfactual_prediction(), logits);
    ExpectDecision(response.original_prediction(), tiny_.stylex.Logits(Seen(request.image())));
    ExpectDecision(response.reconstruction_prediction(),
                   tiny_.stylex.Logits(Seen(response.reconstruction())));
    EXPECT_EQ(response.flipped(), logits.argmax().item<int64_t>() == response.target_class_id());
    EXPECT_EQ(response.convincing(), response.reason().empty());
    EXPECT_EQ(response.convincing(),
              response.reason_code() == v1::COUNTERFACTUAL_REASON_UNSPECIFIED);
    EXPECT_EQ(response.steps_size(), response.applied_size());
    EXPECT_TRUE(response.has_difference());
    EXPECT_GT(response.difference_scale(), 0);
    EXPECT_GT(response.evaluations(), 0);
    for (const v1::AppliedAttribute& applied : response.applied()) {
      EXPECT_EQ(applied.attribute().model(), "tiny/2");
    }
    flipped += response.flipped() && response.applied_size() > 0 ? 1 : 0;
  }
  EXPECT_GT(flipped, 0) << "the cases test nothing";
}

TEST_F(HandlersTest, StepsAndDifferencesAreSentOnRequestAlone) {
  v1::CounterfactualRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(15);
  const v1::CounterfactualResponse response = Answer(Counterfactual(context_, request)).value();
  EXPECT_EQ(response.steps_size(), 0);
  EXPECT_FALSE(response.has_difference());
  EXPECT_FALSE(response.has_certificate());
}

// `applied` says how the counterfactual was drawn, masked or not.
TEST_F(HandlersTest, WhatWasAppliedIsDrawnAgainToTheByte) {
  int masked = 0, whole = 0;
  for (uint8_t seed = 1; seed <= 40; ++seed) {
    v1::CounterfactualRequest request;
    request.set_model("tiny");
    *request.mutable_image() = Sent(seed);
    request.set_local(true);
    if (seed % 2 == 0) {
      request.set_target_probability(0);
    }
    const v1::CounterfactualResponse response = Answer(Counterfactual(context_, request)).value();
    ExpectDecision(response.counterfactual_prediction(),
                   tiny_.stylex.Logits(Seen(response.counterfactual())));
    EXPECT_FALSE(response.has_on_photograph()) << "which was not asked for";
    EXPECT_FALSE(response.has_on_photograph_prediction());
    EXPECT_FALSE(response.holds_on_photograph());
    v1::ReconstructRequest again;
    again.set_model("tiny");
    *again.mutable_image() = request.image();
    for (const v1::AppliedAttribute& applied : response.applied()) {
      v1::StyleEdit* edit = again.add_edits();
      edit->set_index(applied.attribute().index());
      edit->set_direction(applied.attribute().direction());
      edit->set_shift(applied.shift());
    }
    again.set_local(response.local_applied());
    const v1::ReconstructResponse drawn = Answer(Reconstruct(context_, again)).value();
    EXPECT_EQ(drawn.image().data(), response.counterfactual().data()) << "seed " << int{seed};
    ExpectDecision(drawn.reconstruction(), tiny_.stylex.Logits(Seen(drawn.image())));
    (response.local_applied() ? masked : whole) += response.applied_size() > 0 ? 1 : 0;
  }
  EXPECT_GE(masked, 20);
  EXPECT_GE(whole, 1) << "where the mask costs the decision";
}

TEST_F(HandlersTest, TheChangeOnThePhotographIsDecidedByItsBytes) {
  int holds = 0, fails = 0;
  for (uint8_t seed = 1; seed <= 20; ++seed) {
    v1::CounterfactualRequest request;
    request.set_model("tiny");
    *request.mutable_image() = Sent(seed);
    request.set_include_on_photograph(true);
    if (seed % 2 == 0) {
      request.mutable_output_format()->set_encoding(v1::OutputFormat::ENCODING_JPEG);
    }
    const v1::CounterfactualResponse response = Answer(Counterfactual(context_, request)).value();
    EXPECT_FALSE(response.local_applied()) << "which was not asked for";
    const torch::Tensor logits = tiny_.stylex.Logits(Seen(response.on_photograph()));
    ExpectDecision(response.on_photograph_prediction(), logits);
    EXPECT_EQ(response.holds_on_photograph(),
              logits.argmax().item<int64_t>() == response.target_class_id());
    (response.holds_on_photograph() ? holds : fails) += 1;
  }
  EXPECT_GE(holds, 1);
  EXPECT_GE(fails, 1);
}

TEST_F(HandlersTest, TraverseMasksEachFrameByItsOwnChange) {
  v1::TraverseRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(6);
  request.mutable_attribute()->set_index(35);
  request.set_steps(3);
  request.set_local(true);
  const auto stream = Stream(Traverse(context_, request));
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_EQ(stream->sent.size(), 3);
  const StyleVectors styles = tiny_.stylex.StylesOfImages(Seen(request.image()));
  const torch::Tensor before = tiny_.stylex.Synthesize(styles);
  double masked = 0;
  for (const v1::TraverseResponse& frame : stream->sent) {
    const Move move = {{35, 1}, frame.shift()};
    const torch::Tensor whole =
        tiny_.stylex.Synthesize(ApplyMoves(styles, tiny_.ranges, {&move, 1}));
    const torch::Tensor expected = LocalChange(before, whole);
    EXPECT_LT((Seen(frame.image()) - expected).abs().max().item<double>(), 1.5 / 127.5);
    ExpectDecision(frame.prediction(), tiny_.stylex.Logits(Seen(frame.image())));
    masked = (expected - whole).abs().max().item<double>();
  }
  EXPECT_GT(masked, 2 / 127.5) << "the mask takes nothing away";
}

// The attributes of the class, as stored, without an image being searched.
TEST_F(HandlersTest, AttributesComeFromTheIndexWhereNoImagesAreSent) {
  v1::FindAttributesRequest request;
  request.set_model("tiny");
  request.mutable_target_class()->set_class_id(2);
  request.set_max_attributes(2);
  const int64_t before = tiny_.classifier->images();
  const auto stream = Stream(FindAttributes(context_, request));
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_EQ(stream->sent.size(), 1);
  const v1::AttributeSearchResult& result = stream->sent[0].result();
  EXPECT_TRUE(result.from_index());
  EXPECT_EQ(result.images(), 64);
  ASSERT_EQ(result.attributes_size(), 2);
  EXPECT_EQ(result.attributes(0).index(), 7) << "in the index's order";
  EXPECT_EQ(result.attributes(1).name(), "attribute 3");
  EXPECT_EQ(result.attributes(1).model(), "tiny/2");
  EXPECT_EQ(tiny_.classifier->images(), before);
  request.set_model("bare");
  EXPECT_FALSE(Stream(FindAttributes(context_, request)).ok());
}

TEST_F(HandlersTest, ASearchLeavesOutWhatIsTheTargetAlready) {
  v1::FindAttributesRequest request;
  request.set_model("tiny");
  request.set_search(v1::SEARCH_EXHAUSTIVE);
  request.set_strategy(v1::STRATEGY_INDEPENDENT);
  request.mutable_target_class()->set_class_id(1);
  for (const uint8_t seed : {21, 22, 23}) {
    *request.add_images() = Sent(seed);
  }
  const auto stream = Stream(FindAttributes(context_, request));
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_THAT(stream->sent, Not(IsEmpty()));
  const v1::AttributeSearchResult& result = stream->sent.back().result();
  EXPECT_FALSE(result.from_index());
  EXPECT_EQ(result.images() + result.skipped_images(), 3);
  EXPECT_EQ(result.search(), v1::SEARCH_EXHAUSTIVE);
  EXPECT_LE(result.attributes_size(), 10);
}

TEST_F(HandlersTest, BrokenImagesOfASearchAreAllNamed) {
  v1::FindAttributesRequest request;
  request.set_model("tiny");
  request.mutable_target_class()->set_class_id(1);
  for (int i = 0; i < 3; ++i) {
    *request.add_images() = Sent(1);
  }
  for (const int broken : {0, 2}) {
    std::string* data = request.mutable_images(broken)->mutable_data();
    data->resize(data->size() / 2);
  }
  EXPECT_THAT(FieldsOf(Stream(FindAttributes(context_, request)).status()),
              ElementsAre("images[0].data", "images[2].data"));
}

TEST_F(HandlersTest, ACancelledCallComputesNothing) {
  cancellation_.Cancel();
  const int64_t before = tiny_.classifier->images();
  v1::ClassifyRequest classify;
  classify.set_model("tiny");
  *classify.mutable_image() = Sent(1);
  EXPECT_EQ(Answer(Classify(context_, classify)).status().code(), absl::StatusCode::kCancelled);
  v1::CounterfactualRequest counterfactual;
  counterfactual.set_model("tiny");
  *counterfactual.mutable_image() = Sent(1);
  EXPECT_EQ(Answer(Counterfactual(context_, counterfactual)).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(tiny_.classifier->images(), before);
}

TEST_F(HandlersTest, ImagesOverTheLimitAreExhausting) {
  context_.decode_limits.max_pixels = 100;
  v1::ClassifyRequest request;
  request.set_model("tiny");
  *request.mutable_image() = Sent(1);
  const absl::Status status = Answer(Classify(context_, request)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(FieldsOf(status), ElementsAre("image.data"));
}

TEST_F(HandlersTest, WorksSayHowMuchEffortTheyAre) {
  v1::ClassifyRequest classify;
  v1::CounterfactualRequest counterfactual;
  v1::FindAttributesRequest search;
  for (v1::Image* image :
       {classify.mutable_image(), counterfactual.mutable_image(), search.add_images()}) {
    *image = Sent(1);
  }
  classify.set_model("tiny");
  counterfactual.set_model("tiny");
  search.set_model("tiny");
  search.mutable_target_class()->set_class_id(0);
  v1::ReconstructRequest reconstruct;
  reconstruct.set_model("tiny");
  *reconstruct.mutable_image() = Sent(1);
  reconstruct.set_local(true);
  EXPECT_EQ(Reconstruct(context_, reconstruct)->effort, Effort::kInteractive) << "without edits";
  reconstruct.add_edits()->set_index(3);
  EXPECT_EQ(Reconstruct(context_, reconstruct)->effort, Effort::kExplanation);
  EXPECT_EQ(Classify(context_, classify)->effort, Effort::kInteractive);
  EXPECT_EQ(Counterfactual(context_, counterfactual)->effort, Effort::kExplanation);
  EXPECT_EQ(FindAttributes(context_, search)->effort, Effort::kBulk);
}

}  // namespace
}  // namespace stylex
