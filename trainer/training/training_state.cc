#include "trainer/training/training_state.h"

#include <torch/serialize.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace stylex {
namespace {

constexpr int64_t kMaxStateBytes = int64_t{16} << 30;

std::string FirstLine(const std::exception& error) {
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

absl::Status ReadTensors(torch::serialize::InputArchive* archive, TrainingState* state) {
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : state->tensors) {
    torch::Tensor stored;
    if (!archive->try_read(name, stored)) {
      return absl::InvalidArgumentError(absl::StrCat("has no tensor ", name));
    }
    if (stored.sizes() != tensor.sizes() || stored.dtype() != tensor.dtype()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, " has another shape or type than this run's"));
    }
    tensor.copy_(stored);
  }
  return absl::OkStatus();
}

absl::Status ReadArchive(torch::serialize::InputArchive* archive, TrainingState* state) {
  c10::IValue fingerprint;
  archive->read("fingerprint", fingerprint);
  if (fingerprint.toStringRef() != state->fingerprint) {
    return absl::FailedPreconditionError(absl::StrCat(
        "was written by a run with another configuration; use the same options, or another work "
        "directory. There: ",
        fingerprint.toStringRef(), " Here: ", state->fingerprint));
  }
  for (auto& [name, counter] : state->counters) {
    c10::IValue value;
    archive->read(absl::StrCat("counter.", name), value);
    counter = value.toInt();
  }
  torch::serialize::InputArchive tensors;
  archive->read("tensors", tensors);
  if (absl::Status status = ReadTensors(&tensors, state); !status.ok()) {
    return status;
  }
  for (auto& [name, optimizer] : state->optimizers) {
    torch::serialize::InputArchive part;
    archive->read(absl::StrCat("optimizer.", name), part);
    optimizer->load(part);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SaveTrainingState(const TrainingState& state, const std::string& path) {
  std::ostringstream bytes;
  try {
    torch::serialize::OutputArchive archive;
    archive.write("fingerprint", c10::IValue(state.fingerprint));
    for (const auto& [name, counter] : state.counters) {
      archive.write(absl::StrCat("counter.", name), c10::IValue(counter));
    }
    torch::serialize::OutputArchive tensors(archive.compilation_unit());
    for (const auto& [name, tensor] : state.tensors) {
      tensors.write(name, tensor.detach());
    }
    archive.write("tensors", tensors);
    for (const auto& [name, optimizer] : state.optimizers) {
      torch::serialize::OutputArchive part(archive.compilation_unit());
      optimizer->save(part);
      archive.write(absl::StrCat("optimizer.", name), part);
    }
    archive.save_to(bytes);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(path, ": ", FirstLine(error)));
  }
  return WriteFileAtomic(path, bytes.str());
}

absl::Status LoadTrainingState(const std::string& path, TrainingState* state) {
  absl::StatusOr<std::string> bytes = ReadFile(path, kMaxStateBytes);
  if (!bytes.ok()) {
    return bytes.status();
  }
  try {
    std::istringstream stream(*std::move(bytes));
    torch::serialize::InputArchive archive;
    archive.load_from(stream);
    const absl::Status status = ReadArchive(&archive, state);
    return absl::Status(status.code(),
                        status.ok() ? "" : absl::StrCat(path, ": ", status.message()));
  } catch (const std::exception& error) {
    return absl::DataLossError(
        absl::StrCat(path, ": not a readable training state: ", FirstLine(error)));
  }
}

}  // namespace stylex
