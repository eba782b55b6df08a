#include "server/web/json_api.h"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/rpc/errors.h"
#include "server/rpc/request_id.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr absl::string_view kModels = "/v1/models";
// How often a waiting call looks whether its client has left.
constexpr std::chrono::milliseconds kLookUp(50);

const MethodDescriptor* MethodCalled(const std::string& name) {
  const auto* const file = v1::CounterfactualRequest::descriptor()->file();
  return file->FindServiceByName("ExplanationService")->FindMethodByName(name);
}

std::unique_ptr<Message> NewMessage(const google::protobuf::Descriptor* type) {
  auto* const factory = google::protobuf::MessageFactory::generated_factory();
  return std::unique_ptr<Message>(factory->GetPrototype(type)->New());
}

grpc::ByteBuffer BytesOf(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

// A call with one request and one or more answers.
class Exchange : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Exchange(grpc::ClientContext* context, grpc::ByteBuffer request, size_t most_bytes)
      : context_(*context), request_(std::move(request)), most_bytes_(most_bytes) {}

  // Call once. `self` keeps this alive until gRPC has done with it.
  void Start(std::shared_ptr<Exchange> self) {
    self_ = std::move(self);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&part_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    bytes_ += part_.Length();
    if (bytes_ > most_bytes_) {
      too_large_ = true;
      context_.TryCancel();
      return;
    }
    parts_.push_back(std::move(part_));
    part_.Clear();
    StartRead(&part_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Exchange> self = std::move(self_);
    end_.set_value(too_large_ ? ToGrpcStatus(TooLarge(), "") : status);
  }

  absl::Status TooLarge() const {
    return absl::ResourceExhaustedError(absl::StrCat("the answer has more than ", most_bytes_,
                                                     " bytes (--max-message-mib): ask by gRPC"));
  }

  std::future<grpc::Status> end() { return end_.get_future(); }
  // Once it has ended.
  std::vector<grpc::ByteBuffer>& parts() { return parts_; }

 private:
  grpc::ClientContext& context_;
  grpc::ByteBuffer request_;
  const size_t most_bytes_;
  grpc::ByteBuffer part_;
  std::vector<grpc::ByteBuffer> parts_;
  size_t bytes_ = 0;
  bool too_large_ = false;
  std::promise<grpc::Status> end_;
  std::shared_ptr<Exchange> self_;
};

// The parser's message quotes the text, which need not be text at all.
std::string Printable(const auto& message) {
  std::string text(message.data(), message.size());
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return !absl::ascii_isprint(c); }, '?');
  return text;
}

grpc::Status AppendJson(grpc::ByteBuffer* bytes, Message* message, std::string* json) {
  grpc::ProtoBufferReader reader(bytes);
  if (!message->ParseFromZeroCopyStream(&reader) ||
      !google::protobuf::util::MessageToJsonString(*message, json).ok()) {
    return {grpc::StatusCode::INTERNAL, "the answer cannot be written as JSON"};
  }
  return grpc::Status::OK;
}

// A list, if the method streams.
grpc::Status WriteAnswer(const MethodDescriptor& method, std::vector<grpc::ByteBuffer>* parts,
                         std::string* json) {
  if (!method.server_streaming() && parts->size() != 1) {
    return {grpc::StatusCode::INTERNAL, "there was no answer"};
  }
  const std::unique_ptr<Message> message = NewMessage(method.output_type());
  if (method.server_streaming()) {
    json->push_back('[');
  }
  for (grpc::ByteBuffer& part : *parts) {
    if (json->size() > 1) {
      json->push_back(',');
    }
    const grpc::Status written = AppendJson(&part, message.get(), json);
    if (!written.ok()) {
      return written;
    }
  }
  if (method.server_streaming()) {
    json->push_back(']');
  }
  return grpc::Status::OK;
}

std::string RequestIdIn(const grpc::ClientContext& context) {
  const auto& trailer = context.GetServerTrailingMetadata();
  const auto found = trailer.find(kRequestIdKey);
  return found == trailer.end() ? "" : std::string(found->second.data(), found->second.size());
}

}  // namespace

std::optional<JsonRoute> RouteOf(absl::string_view http_method, absl::string_view path) {
  const bool posts = http_method == "POST";
  if (!absl::ConsumePrefix(&path, kModels)) {
    return std::nullopt;
  }
  if (path.empty() && !posts) {
    return JsonRoute{MethodCalled("ListModels"), ""};
  }
  if (!absl::ConsumePrefix(&path, "/")) {
    return std::nullopt;
  }
  if (!posts) {
    return JsonRoute{MethodCalled("GetModel"), std::string(path)};
  }
  constexpr std::array<const char*, 6> kVerbs = {"classify",       "encode",   "reconstruct",
                                                 "counterfactual", "traverse", "findAttributes"};
  for (const char* const verb : kVerbs) {
    absl::string_view model = path;
    if (absl::ConsumeSuffix(&model, absl::StrCat(":", verb))) {
      std::string name = verb;
      name[0] = absl::ascii_toupper(static_cast<unsigned char>(name[0]));
      return JsonRoute{MethodCalled(name), std::string(model)};
    }
  }
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<Message>> ReadRequest(const JsonRoute& route,
                                                     const std::string& json) {
  std::unique_ptr<Message> message = NewMessage(route.method->input_type());
  const auto read = google::protobuf::util::JsonStringToMessage(json, message.get());
  if (!read.ok()) {
    const Fault fault = {"body", absl::StrCat("is no ", route.method->input_type()->name(),
                                              " in JSON: ", Printable(read.message()))};
    return InvalidRequestError({&fault, 1});
  }
  const auto* const field = message->GetDescriptor()->FindFieldByName("model");
  if (field != nullptr) {
    const std::string named = message->GetReflection()->GetString(*message, field);
    if (!named.empty() && named != route.model) {
      const Fault fault = {"model", absl::StrCat(Quoted(named), " is not the path's ",
                                                 Quoted(route.model), "; leave it out")};
      return InvalidRequestError({&fault, 1});
    }
    message->GetReflection()->SetString(message.get(), field, route.model);
  }
  return message;
}

JsonApi::JsonApi(std::shared_ptr<grpc::Channel> channel, const Options& options)
    : channel_(std::move(channel)), options_(options) {}

JsonAnswer JsonApi::Call(const MethodDescriptor* method, const Message& request,
                         const JsonCaller& caller) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoNanoseconds(options_.deadline));
  for (const auto& [key, value] : caller.metadata) {
    context.AddMetadata(key, value);
  }
  const auto exchange =
      std::make_shared<Exchange>(&context, BytesOf(request), options_.most_answer_bytes);
  std::future<grpc::Status> end = exchange->end();
  grpc::GenericStub(channel_).PrepareBidiStreamingCall(
      &context, absl::StrCat("/", method->service()->full_name(), "/", method->name()), {},
      exchange.get());
  exchange->Start(exchange);
  while (end.wait_for(kLookUp) != std::future_status::ready) {
    if (caller.left()) {
      context.TryCancel();
    }
  }
  JsonAnswer answer;
  answer.status = end.get();
  answer.request_id = RequestIdIn(context);
  if (answer.status.ok()) {
    answer.status = WriteAnswer(*method, &exchange->parts(), &answer.json);
  }
  return answer;
}

}  // namespace stylex
