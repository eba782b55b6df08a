// The service's methods as JSON over HTTP (docs/live_page.md): requests and answers are those of
// proto/stylex/v1/explanation.proto in protobuf's JSON mapping.
//
//   GET  /v1/models                       ListModels
//   GET  /v1/models/NAME[/VERSION]        GetModel
//   POST /v1/models/NAME[/VERSION]:verb   classify, encode, reconstruct, counterfactual, traverse,
//                                         findAttributes; the last two answer with a list
//
// Each is a gRPC call on `channel`, so the limits, tokens, deadlines, log and metrics of all calls
// hold for it. Thread-safe.
#ifndef STYLEX_SERVER_WEB_JSON_API_H_
#define STYLEX_SERVER_WEB_JSON_API_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace stylex {

// What a request asks for.
struct JsonRoute {
  const google::protobuf::MethodDescriptor* method = nullptr;
  std::string model;  // NAME or NAME/VERSION; may be empty
};

// None where nothing is there.
std::optional<JsonRoute> RouteOf(absl::string_view http_method, absl::string_view path);

// The message that `json` is, with the route's model. INVALID_ARGUMENT says what is wrong with it.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ReadRequest(const JsonRoute& route,
                                                                       const std::string& json);

struct JsonCaller {
  std::vector<std::pair<std::string, std::string>> metadata;  // valid as gRPC's
  std::function<bool()> left = [] { return false; };          // asked now and then: then it ends
};

struct JsonAnswer {
  grpc::Status status;
  std::string json;        // if the status is OK
  std::string request_id;  // of the call in the server's log; may be empty
};

class JsonApi {
 public:
  struct Options {
    absl::Duration deadline = absl::Seconds(60);
    size_t most_answer_bytes = size_t{16} << 20;
  };
  JsonApi(std::shared_ptr<grpc::Channel> channel, const Options& options);

  // Makes the call and waits for its end.
  JsonAnswer Call(const google::protobuf::MethodDescriptor* method,
                  const google::protobuf::Message& request, const JsonCaller& caller) const;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const Options options_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_WEB_JSON_API_H_
