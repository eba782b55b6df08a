// proto/grpc/health/v1/health.proto against gRPC itself: the health service that gRPC's library
// brings, made from gRPC's own declaration, must be understood through ours.
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"

namespace stylex {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthContractTest : public ::testing::Test {
 protected:
  HealthContractTest() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    queue_ = builder.AddCompletionQueue();  // the health service computes on one
    server_ = builder.BuildAndStart();
    const std::string address = "127.0.0.1:" + std::to_string(port);
    stub_ = Health::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    server_->GetHealthCheckService()->SetServingStatus("up", true);
    server_->GetHealthCheckService()->SetServingStatus("down", false);
  }
  ~HealthContractTest() override {
    server_->Shutdown();
    queue_->Shutdown();
  }

  static HealthCheckRequest About(const std::string& name) {
    HealthCheckRequest request;
    request.set_service(name);
    return request;
  }
  grpc::Status Check(const std::string& name, HealthCheckResponse* response) {
    grpc::ClientContext context;
    return stub_->Check(&context, About(name), response);
  }

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthContractTest, CheckKnowsServicesByNameAndTheirStates) {
  HealthCheckResponse response;
  EXPECT_TRUE(Check("up", &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_TRUE(Check("down", &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check("nobody", &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthContractTest, WatchTellsOfUnknownServicesAndOfChanges) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, About("late"));
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  server_->GetHealthCheckService()->SetServingStatus("late", true);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
}

}  // namespace
}  // namespace stylex
