// A server with predefined answers.
#ifndef STYLEX_TESTS_CLIENT_FAKE_SERVICE_H_
#define STYLEX_TESTS_CLIENT_FAKE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "image/bitmap.h"
#include "stylex/v1/explanation.grpc.pb.h"

namespace stylex {

// A label that breaks pages without escaping.
inline constexpr char kNastyLabel[] = "<script>alert(1)</script>\"";
// Side of the returned images in pixels.
inline constexpr int kFakeSide = 32;
inline constexpr int kStrangeGrey = 77;  // of photographs that it calls unlike the training images
inline constexpr int kSlowGrey = 55;     // that it explains for ever, until the caller cancels
inline constexpr int kUnitedGrey = 66;   // whose change can be neither confined nor carried over

// Serves one model, "pets/3", with the labels "cat", "dog" and kNastyLabel. The decision depends on
// the grey of the first pixel: below 85 a cat, below 170 a dog, else the third class; a side under
// 8 pixels is INVALID_ARGUMENT. Thread-safe.
class FakeService : public v1::ExplanationService::Service {
 public:
  FakeService();
  ~FakeService() override;

  // HOST:PORT
  const std::string& address() const { return address_; }

  // The latest request of each method.
  v1::ReconstructRequest reconstruct_request() const;
  v1::CounterfactualRequest counterfactual_request() const;
  v1::TraverseRequest traverse_request() const;
  v1::FindAttributesRequest search_request() const;
  // From now on the model's attribute has another name.
  void RenameAttribute(const std::string& name);
  // How many calls of Counterfactual came in.
  int counterfactuals() const;

  // A search for class 99 sends progress until its caller cancels. Ready when the first is sent...
  std::future<void> endless_search_started() { return started_.get_future(); }
  // ...and when the cancellation has arrived.
  std::future<void> endless_search_cancelled() { return cancelled_.get_future(); }

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse*) override;
  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest*,
                        v1::GetModelResponse*) override;
  grpc::Status Classify(grpc::ServerContext*, const v1::ClassifyRequest*,
                        v1::ClassifyResponse*) override;
  grpc::Status Encode(grpc::ServerContext*, const v1::EncodeRequest*, v1::EncodeResponse*) override;
  grpc::Status Reconstruct(grpc::ServerContext*, const v1::ReconstructRequest*,
                           v1::ReconstructResponse*) override;
  grpc::Status FindAttributes(grpc::ServerContext*, const v1::FindAttributesRequest*,
                              grpc::ServerWriter<v1::FindAttributesResponse>*) override;
  grpc::Status Counterfactual(grpc::ServerContext*, const v1::CounterfactualRequest*,
                              v1::CounterfactualResponse*) override;
  grpc::Status Traverse(grpc::ServerContext*, const v1::TraverseRequest*,
                        grpc::ServerWriter<v1::TraverseResponse>*) override;

 private:
  grpc::Status SearchWithoutEnd(grpc::ServerContext*,
                                grpc::ServerWriter<v1::FindAttributesResponse>*);

  mutable std::mutex mutex_;
  v1::ReconstructRequest reconstruct_request_;
  v1::CounterfactualRequest counterfactual_request_;
  int counterfactuals_ = 0;
  std::string name_of_attribute_ = "ears droop";
  v1::TraverseRequest traverse_request_;
  v1::FindAttributesRequest search_request_;
  std::promise<void> started_;
  std::promise<void> cancelled_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_CLIENT_FAKE_SERVICE_H_
