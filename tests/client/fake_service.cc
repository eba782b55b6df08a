#include "tests/client/fake_service.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "image/codec.h"

namespace stylex {
namespace {

constexpr char kModel[] = "pets/3";
constexpr int kClasses = 3;
constexpr const char* kLabels[kClasses] = {"cat", "dog", kNastyLabel};

grpc::Status InvalidArgument(const std::string& message, const std::string& field,
                             const std::string& description) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(field);
  violation->set_description(description);
  google::rpc::Status status;
  status.set_code(grpc::StatusCode::INVALID_ARGUMENT);
  status.add_details()->PackFrom(bad_request);
  return {grpc::StatusCode::INVALID_ARGUMENT, message, status.SerializeAsString()};
}

grpc::Status CheckModel(const std::string& model) {
  if (model.empty() || model == "pets" || model == kModel) {
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND,
          absl::StrCat("model \"", model, "\" is not loaded; loaded: ", kModel)};
}

v1::Prediction Predict(int grey) {
  v1::Prediction prediction;
  const int decided = grey < 85 ? 0 : grey < 170 ? 1 : 2;
  for (int k = 0; k < kClasses; ++k) {
    prediction.add_probabilities(k == decided ? 0.75f : 0.125f);
    prediction.add_logits(k == decided ? std::log(6.0f) : 0.0f);
  }
  prediction.set_class_id(decided);
  prediction.set_label(kLabels[decided]);
  return prediction;
}

grpc::Status ReadGrey(const v1::Image& image, int* grey) {
  const auto bitmap = DecodeImage(image.data());
  if (!bitmap.ok()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, std::string(bitmap.status().message())};
  }
  if (bitmap->width < 8) {
    return InvalidArgument("the request is not valid", "image.data",
                           absl::StrCat(bitmap->width, " pixels wide; at least 8"));
  }
  *grey = bitmap->data[0];
  return grpc::Status::OK;
}

void Draw(int grey, v1::Image* image) {
  const auto png = EncodePng(Bitmap::Make(kFakeSide, kFakeSide, 3, static_cast<uint8_t>(grey)));
  image->set_data(png.value_or(""));
}

void FillAttribute(int index, v1::Attribute* attribute) {
  attribute->set_index(index);
  attribute->set_layer(1);
  attribute->set_channel(index);
  attribute->set_direction(v1::DIRECTION_TO_MIN);
  attribute->set_mean_effect(1.5);
  attribute->set_flip_rate(0.25);
  attribute->set_name(index == 0 ? "<b>ears</b>" : "");
}

}  // namespace

FakeService::FakeService() {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  EXPECT_NE(server_, nullptr);
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeService::~FakeService() { server_->Shutdown(std::chrono::system_clock::now()); }

v1::ReconstructRequest FakeService::reconstruct_request() const {
  const std::lock_guard lock(mutex_);
  return reconstruct_request_;
}

v1::CounterfactualRequest FakeService::counterfactual_request() const {
  const std::lock_guard lock(mutex_);
  return counterfactual_request_;
}

v1::TraverseRequest FakeService::traverse_request() const {
  const std::lock_guard lock(mutex_);
  return traverse_request_;
}

v1::FindAttributesRequest FakeService::search_request() const {
  const std::lock_guard lock(mutex_);
  return search_request_;
}

int FakeService::counterfactuals() const {
  const std::lock_guard lock(mutex_);
  return counterfactuals_;
}

// One model per page, so that a client must request the second page.
grpc::Status FakeService::ListModels(grpc::ServerContext*, const v1::ListModelsRequest* request,
                                     v1::ListModelsResponse* response) {
  v1::ModelSummary* model = response->add_models();
  if (request->page_token().empty()) {
    model->set_name("pets");
    model->set_version(3);
    model->set_state(v1::MODEL_STATE_READY);
    model->set_resolution(kFakeSide);
    model->mutable_labels()->Add(std::begin(kLabels), std::end(kLabels));
    response->set_next_page_token("second");
  } else {
    model->set_name("broken");
    model->set_version(1);
    model->set_state(v1::MODEL_STATE_FAILED);
    model->set_error("model.safetensors: hash differs");
  }
  return grpc::Status::OK;
}

void FakeService::RenameAttribute(const std::string& name) {
  const std::lock_guard lock(mutex_);
  name_of_attribute_ = name;
}

grpc::Status FakeService::GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                                   v1::GetModelResponse* response) {
  v1::ModelSummary* summary = response->mutable_model()->mutable_summary();
  summary->set_name("pets");
  summary->set_version(3);
  summary->set_resolution(kFakeSide);
  summary->mutable_labels()->Add(std::begin(kLabels), std::end(kLabels));
  response->mutable_model()->set_num_styles(64);
  response->mutable_model()->mutable_provenance()->set_dataset("<i>Pets</i>");
  (*response->mutable_model()->mutable_metrics())["agreement"] = 0.953;
  v1::ClassAttributes* dogs = response->mutable_model()->mutable_attributes()->add_classes();
  dogs->set_class_id(1);
  FillAttribute(40, dogs->add_attributes());
  {
    const std::lock_guard lock(mutex_);
    dogs->mutable_attributes(0)->set_name(name_of_attribute_);
  }
  return CheckModel(request->model());
}

grpc::Status FakeService::Classify(grpc::ServerContext*, const v1::ClassifyRequest* request,
                                   v1::ClassifyResponse* response) {
  if (grpc::Status status = CheckModel(request->model()); !status.ok()) {
    return status;
  }
  int grey = 0;
  if (grpc::Status status = ReadGrey(request->image(), &grey); !status.ok()) {
    return status;
  }
  *response->mutable_prediction() = Predict(grey);
  response->set_model(kModel);
  return grpc::Status::OK;
}

grpc::Status FakeService::Encode(grpc::ServerContext*, const v1::EncodeRequest* request,
                                 v1::EncodeResponse* response) {
  int grey = 0;
  if (grpc::Status status = ReadGrey(request->image(), &grey); !status.ok()) {
    return status;
  }
  response->mutable_latent()->set_model(kModel);
  response->mutable_latent()->mutable_values()->Resize(5, static_cast<float>(grey));
  response->mutable_styles()->mutable_values()->Resize(64, 1.0f);
  response->mutable_styles()->mutable_to_rgb()->Resize(7, 2.0f);
  *response->mutable_prediction() = Predict(grey);
  return grpc::Status::OK;
}

grpc::Status FakeService::Reconstruct(grpc::ServerContext*, const v1::ReconstructRequest* request,
                                      v1::ReconstructResponse* response) {
  {
    const std::lock_guard lock(mutex_);
    reconstruct_request_ = *request;
  }
  int grey = 0;
  if (grpc::Status status = ReadGrey(request->image(), &grey); !status.ok()) {
    return status;
  }
  const int drawn = request->edits().empty() ? grey : 255 - grey;
  Draw(drawn, response->mutable_image());
  *response->mutable_original() = Predict(grey);
  *response->mutable_reconstruction() = Predict(drawn);
  response->mutable_quality()->set_psnr(31.25);
  response->set_model(kModel);
  return grpc::Status::OK;
}

grpc::Status FakeService::SearchWithoutEnd(grpc::ServerContext* context,
                                           grpc::ServerWriter<v1::FindAttributesResponse>* writer) {
  v1::FindAttributesResponse response;
  response.mutable_progress()->set_total(1'000'000);
  writer->Write(response);
  started_.set_value();
  while (!context->IsCancelled()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  cancelled_.set_value();
  return grpc::Status::CANCELLED;
}

grpc::Status FakeService::FindAttributes(grpc::ServerContext* context,
                                         const v1::FindAttributesRequest* request,
                                         grpc::ServerWriter<v1::FindAttributesResponse>* writer) {
  {
    const std::lock_guard lock(mutex_);
    search_request_ = *request;
  }
  if (request->target_class().class_id() == 99) {
    return SearchWithoutEnd(context, writer);
  }
  v1::FindAttributesResponse response;
  for (int done = 0; done < request->images_size(); ++done) {
    response.mutable_progress()->set_done(100 * done);
    response.mutable_progress()->set_total(100 * request->images_size());
    response.mutable_progress()->set_seconds_left(7);
    writer->Write(response);
  }
  v1::AttributeSearchResult* result = response.mutable_result();
  for (int i = 0; i < std::min(2, request->max_attributes()); ++i) {
    FillAttribute(40 + i, result->add_attributes());
  }
  result->set_target_class_id(1);
  result->set_images(request->images_size());
  result->set_from_index(request->images().empty());
  writer->Write(response);
  return grpc::Status::OK;
}

// An image decided as the third class cannot be flipped.
grpc::Status FakeService::Counterfactual(grpc::ServerContext* context,
                                         const v1::CounterfactualRequest* request,
                                         v1::CounterfactualResponse* response) {
  {
    const std::lock_guard lock(mutex_);
    counterfactual_request_ = *request;
    ++counterfactuals_;
  }
  if (grpc::Status status = CheckModel(request->model()); !status.ok()) {
    return status;
  }
  if (request->shift() > 4) {
    return InvalidArgument("the request is not valid", "shift",
                           absl::StrCat(request->shift(), " is out of range; 0 to 4"));
  }
  int grey = 0;
  if (grpc::Status status = ReadGrey(request->image(), &grey); !status.ok()) {
    return status;
  }
  while (grey == kSlowGrey && !context->IsCancelled()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const int changed = grey < 170 ? grey + 85 : grey;
  Draw(grey, response->mutable_reconstruction());
  Draw(changed, response->mutable_counterfactual());
  Draw(128, response->mutable_difference());
  *response->mutable_original_prediction() = Predict(grey);
  *response->mutable_reconstruction_prediction() = Predict(grey);
  *response->mutable_counterfactual_prediction() = Predict(changed);
  response->set_flipped(changed != grey);
  response->set_convincing(response->flipped());
  response->set_target_class_id(response->flipped() ? Predict(changed).class_id() : 0);
  response->set_target_label(kLabels[response->target_class_id()]);
  response->set_reason(response->flipped() ? "" : "no <further> attribute raises the target");
  for (int i = 0; i < 2; ++i) {
    Draw(grey + 40 * i, response->add_steps());
    FillAttribute(i, response->add_applied()->mutable_attribute());
  }
  response->set_local_applied(request->local() && grey != kUnitedGrey);
  if (request->include_on_photograph()) {
    const int carried = grey == kUnitedGrey ? grey : changed;
    Draw(carried, response->mutable_on_photograph());
    *response->mutable_on_photograph_prediction() = Predict(carried);
    response->set_holds_on_photograph(carried == changed && response->flipped());
  }
  response->mutable_quality()->set_same_class(true);
  if (grey == kStrangeGrey) {
    response->mutable_quality()->set_percentile(99.7);
    response->mutable_quality()->set_unlike_training(true);
  }
  response->set_model(kModel);
  return grpc::Status::OK;
}

grpc::Status FakeService::Traverse(grpc::ServerContext*, const v1::TraverseRequest* request,
                                   grpc::ServerWriter<v1::TraverseResponse>* writer) {
  {
    const std::lock_guard lock(mutex_);
    traverse_request_ = *request;
  }
  for (int i = 0; i < request->steps(); ++i) {
    v1::TraverseResponse response;
    response.set_step(i);
    response.set_shift(request->shift_from() +
                       i * (request->shift_to() - request->shift_from()) / (request->steps() - 1));
    Draw(20 * i, response.mutable_image());
    *response.mutable_prediction() = Predict(20 * i);
    writer->Write(response);
  }
  return grpc::Status::OK;
}

}  // namespace stylex
