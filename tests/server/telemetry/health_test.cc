#include "server/telemetry/health.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "tests/server/rpc/error_details.h"

namespace stylex {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kService[] = "stylex.v1.ExplanationService";

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() : service_(kService) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = Health::NewStub(server_->InProcessChannel({}));
  }
  ~HealthTest() override {
    service_.EndWatches();
    server_->Shutdown();
  }

  grpc::Status Check(const std::string& name, HealthCheckResponse* response) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(name);
    return stub_->Check(&context, request, response);
  }
  bool Serving(const std::string& name) {
    HealthCheckResponse response;
    const grpc::Status status = Check(name, &response);
    EXPECT_TRUE(status.ok()) << name << ": " << status.error_message();
    return response.status() == HealthCheckResponse::SERVING;
  }

  // A watch whose states are read on demand.
  struct Watching {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;

    HealthCheckResponse::ServingStatus Next() {
      HealthCheckResponse response;
      return reader->Read(&response) ? response.status() : HealthCheckResponse::UNKNOWN;
    }
  };
  std::unique_ptr<Watching> Watch(const std::string& name) {
    auto watching = std::make_unique<Watching>();
    HealthCheckRequest request;
    request.set_service(name);
    watching->reader = stub_->Watch(&watching->context, request);
    return watching;
  }

  HealthService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Health::Stub> stub_;
};

struct Row {
  Lifecycle lifecycle;
  bool startup, readiness, liveness;
};

TEST_F(HealthTest, EveryStateAnswersAsItsTableSays) {
  service_.SetModel("cats", true);
  for (const Row& row :
       {Row{Lifecycle::kStarting, false, false, true}, Row{Lifecycle::kServing, true, true, true},
        Row{Lifecycle::kDraining, true, false, true},
        Row{Lifecycle::kBroken, true, false, false}}) {
    service_.SetLifecycle(row.lifecycle);
    EXPECT_EQ(Serving("startup"), row.startup);
    EXPECT_EQ(Serving("readiness"), row.readiness);
    EXPECT_EQ(Serving("liveness"), row.liveness);
    EXPECT_EQ(Serving(""), row.readiness);
    EXPECT_EQ(Serving(kService), row.readiness);
  }
}

TEST_F(HealthTest, NoWayBackFromDrainingOrBroken) {
  service_.SetModel("cats", true);
  service_.SetLifecycle(Lifecycle::kDraining);
  service_.SetLifecycle(Lifecycle::kServing);
  EXPECT_FALSE(Serving("readiness"));
  EXPECT_EQ(service_.lifecycle(), Lifecycle::kDraining);
}

TEST_F(HealthTest, WithoutAReadyModelItIsNotReady) {
  service_.SetLifecycle(Lifecycle::kServing);
  EXPECT_TRUE(Serving("startup"));
  EXPECT_FALSE(Serving("readiness"));
  service_.SetModel("cats", false);
  EXPECT_FALSE(Serving("readiness"));
  EXPECT_FALSE(Serving("model:cats"));
  service_.SetModel("cats", true);
  EXPECT_TRUE(Serving("readiness"));
  EXPECT_TRUE(Serving("model:cats"));
}

TEST_F(HealthTest, UnknownNamesAreNotFoundByCheck) {
  HealthCheckResponse response;
  for (const char* name : {"nonsense", "model:lions", "model:"}) {
    const grpc::Status status = Check(name, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND) << name;
    EXPECT_EQ(ReasonOf(status), "NOT_FOUND");
  }
}

TEST_F(HealthTest, AWatchTellsTheStateAndItsChanges) {
  const auto watching = Watch("readiness");
  EXPECT_EQ(watching->Next(), HealthCheckResponse::NOT_SERVING);
  service_.SetModel("cats", true);
  service_.SetLifecycle(Lifecycle::kServing);
  EXPECT_EQ(watching->Next(), HealthCheckResponse::SERVING);
  service_.SetLifecycle(Lifecycle::kDraining);
  EXPECT_EQ(watching->Next(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthTest, AWatchOfAnUnknownNameWaitsForIt) {
  const auto watching = Watch("model:cats");
  EXPECT_EQ(watching->Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  service_.SetModel("cats", true);
  EXPECT_EQ(watching->Next(), HealthCheckResponse::SERVING);
}

TEST_F(HealthTest, EndedWatchesLetTheServerShutDown) {
  const auto watching = Watch("");
  EXPECT_EQ(watching->Next(), HealthCheckResponse::NOT_SERVING);
  service_.EndWatches();
  HealthCheckResponse response;
  EXPECT_FALSE(watching->reader->Read(&response));
  EXPECT_EQ(watching->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto late = Watch("");
  EXPECT_FALSE(late->reader->Read(&response));
  EXPECT_EQ(late->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  server_->Shutdown();  // would wait for ever
}

TEST_F(HealthTest, AClientMayEndItsWatch) {
  const auto watching = Watch("");
  EXPECT_EQ(watching->Next(), HealthCheckResponse::NOT_SERVING);
  watching->context.TryCancel();
  EXPECT_EQ(watching->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  service_.SetLifecycle(Lifecycle::kServing);
  EXPECT_TRUE(Serving("startup"));
}

}  // namespace
}  // namespace stylex
