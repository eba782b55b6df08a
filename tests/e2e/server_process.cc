#include "tests/e2e/server_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace stylex {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kListening[] = "listening on ";

}  // namespace

ServerProcess::ServerProcess(const std::string& models, const std::vector<std::string>& flags,
                             int errors) {
  std::vector<std::string> arguments = {absl::StrCat(STYLEX_BIN_DIR, "/stylex-server"), "--models",
                                        models, "--device", "cpu"};
  if (std::count(flags.begin(), flags.end(), "--host") == 0) {
    arguments.insert(arguments.end(), {"--host", "127.0.0.1"});
  }
  if (std::count(flags.begin(), flags.end(), "--port") == 0) {
    arguments.insert(arguments.end(), {"--port", "0"});
  }
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  int out[2];
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  if (errors >= 0) {
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (folder_.path() + "/log").c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  }
  EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  FILE* lines = fdopen(out[0], "r");
  char line[256] = "";
  // Also reached at end of file, if the server dies.
  if (fgets(line, sizeof(line), lines) != nullptr && std::string(line).starts_with(kListening)) {
    address_ = std::string(line).substr(sizeof(kListening) - 1);
    address_.pop_back();
  }
  for (const char* port : {"health", "metrics", "web"}) {
    const bool wanted = std::count(flags.begin(), flags.end(), absl::StrCat("--", port, "-port"));
    const std::string start = absl::StrCat(port, " on ");
    if (wanted && fgets(line, sizeof(line), lines) != nullptr &&
        std::string(line).starts_with(start)) {
      other_addresses_[port] = std::string(line).substr(start.size());
      other_addresses_[port].pop_back();
    }
  }
  fclose(lines);
  EXPECT_FALSE(address_.empty()) << "the server said \"" << line << "\", its log: " << Log();
  stub_ = v1::ExplanationService::NewStub(NewChannel());
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    Wait();
  }
}

std::shared_ptr<grpc::Channel> ServerProcess::NewChannel() const {
  grpc::ChannelArguments arguments;
  // A separate connection, not shared with the test's other channels.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
}

void ServerProcess::AwaitLoaded() {
  const auto health = grpc::health::v1::Health::NewStub(NewChannel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
  HealthCheckRequest request;
  request.set_service("startup");
  const auto reader = health->Watch(&context, request);
  HealthCheckResponse response;
  while (reader->Read(&response)) {
    if (response.status() == HealthCheckResponse::SERVING) {
      context.TryCancel();
      return;
    }
  }
  ADD_FAILURE() << "never loaded: " << reader->Finish().error_message() << "\n" << Log();
}

HealthCheckResponse::ServingStatus ServerProcess::Health(const std::string& name) {
  const auto health = grpc::health::v1::Health::NewStub(NewChannel());
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service(name);
  HealthCheckResponse response;
  const grpc::Status status = health->Check(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.status();
}

int64_t ServerProcess::ResidentKib() const { return MemoryKib("VmRSS:"); }

int64_t ServerProcess::PeakResidentKib() const { return MemoryKib("VmHWM:"); }

int64_t ServerProcess::MemoryKib(const std::string& field) const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field)) {
      return std::stoll(line.substr(field.size()));
    }
  }
  ADD_FAILURE() << "the server is gone: " << Log();
  return 0;
}

void ServerProcess::Signal(int number) const { kill(pid_, number); }

int ServerProcess::Wait() {
  int status = 0;
  EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string ServerProcess::AwaitLogLine(const std::string& part) const {
  for (int i = 0; i < 600; ++i) {
    std::istringstream log(Log());
    for (std::string line; std::getline(log, line) && !log.eof();) {
      if (line.find(part) != std::string::npos) {
        return line;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return "";
}

std::string ServerProcess::Log() const {
  std::ifstream file(folder_.path() + "/log");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace stylex
