#include "trainer/training/training_state.h"

#include <torch/serialize.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <functional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "trainer/training/adam_moments.h"

namespace stylex {
namespace {

constexpr int64_t kMaxStateBytes = int64_t{16} << 30;

std::string FirstLine(const std::exception& error) {
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

std::string TextOf(torch::serialize::InputArchive* archive, const std::string& name) {
  c10::IValue text;
  return archive->try_read(name, text) ? text.toStringRef() : "";
}

bool IsFinite(const torch::Tensor& tensor) {
  return !tensor.defined() || tensor.isfinite().all().item<bool>();
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
  if (state->record.empty()) {
    const std::string fingerprint = TextOf(archive, "fingerprint");
    if (fingerprint != state->fingerprint) {
      return absl::FailedPreconditionError(absl::StrCat(
          "was written by a run with another configuration; use the same options, or another work "
          "directory. There: ",
          fingerprint, " Here: ", state->fingerprint));
    }
  }
  for (auto& [name, counter] : state->counters) {
    c10::IValue value;
    if (archive->try_read(absl::StrCat("counter.", name), value)) {
      counter = value.toInt();
    }
  }
  torch::serialize::InputArchive tensors;
  archive->read("tensors", tensors);
  if (absl::Status status = ReadTensors(&tensors, state); !status.ok()) {
    return status;
  }
  for (auto& [name, optimizer] : state->optimizers) {
    torch::serialize::InputArchive part;
    archive->read(absl::StrCat("optimizer.", name), part);
    if (absl::Status status = ReadMoments(&part, optimizer); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("optimiser ", name, " ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SaveTrainingState(const TrainingState& state, const std::string& path) {
  std::ostringstream bytes;
  try {
    torch::serialize::OutputArchive archive;
    archive.write(state.record.empty() ? "fingerprint" : "record",
                  c10::IValue(state.record.empty() ? state.fingerprint : state.record));
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
      WriteMoments(*optimizer, &part);
      archive.write(absl::StrCat("optimizer.", name), part);
    }
    archive.save_to(bytes);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(path, ": ", FirstLine(error)));
  }
  return WriteFileAtomic(path, bytes.str());
}

std::string PreviousStatePath(const std::string& path) {
  const std::filesystem::path file(path);
  return (file.parent_path() / absl::StrCat("previous_", file.filename().string())).string();
}

absl::Status SaveKeepingPrevious(const TrainingState& state, const std::string& path) {
  namespace fs = std::filesystem;
  const std::string previous = PreviousStatePath(path);
  std::error_code error;
  if (fs::exists(path, error)) {
    const std::string temporary = previous + ".tmp";
    fs::remove(temporary, error);
    fs::create_hard_link(path, temporary, error);
    if (error) {  // a file system without links
      fs::copy_file(path, temporary, error);
    }
    if (!error) {
      fs::rename(temporary, previous, error);
    }
    if (error) {
      return absl::ResourceExhaustedError(
          absl::StrCat(previous, ": cannot be written: ", error.message()));
    }
  }
  return SaveTrainingState(state, path);
}

absl::Status CheckFinite(const TrainingState& state) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state.tensors) {
    if (!IsFinite(tensor)) {
      return absl::FailedPreconditionError(
          absl::StrCat("tensor ", name, " has values that are not finite"));
    }
  }
  for (const auto& [name, optimizer] : state.optimizers) {
    if (absl::Status status = CheckFiniteMoments(*optimizer); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("optimiser ", name, " ", status.message()));
    }
  }
  return absl::OkStatus();
}

namespace {

// Opens the archive and passes it to `read`; exceptions of LibTorch become DATA_LOSS.
absl::Status WithArchive(const std::string& path,
                         const std::function<absl::Status(torch::serialize::InputArchive*)>& read) {
  STYLEX_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, kMaxStateBytes));
  try {
    std::istringstream stream(std::move(bytes));
    torch::serialize::InputArchive archive;
    archive.load_from(stream);
    const absl::Status status = read(&archive);
    return absl::Status(status.code(),
                        status.ok() ? "" : absl::StrCat(path, ": ", status.message()));
  } catch (const std::exception& error) {
    return absl::DataLossError(
        absl::StrCat(path, ": not a readable training state: ", FirstLine(error)));
  }
}

absl::StatusOr<StateTexts> ReadTextsOf(const std::string& path) {
  StateTexts texts;
  STYLEX_RETURN_IF_ERROR(WithArchive(path, [&](torch::serialize::InputArchive* archive) {
    texts.fingerprint = TextOf(archive, "fingerprint");
    texts.record = TextOf(archive, "record");
    return absl::OkStatus();
  }));
  return texts;
}

}  // namespace

absl::Status LoadGoodState(const std::string& path, bool before_last,
                           const std::function<absl::Status(const std::string& path)>& load,
                           const std::function<void(const std::string&)>& warn) {
  const std::string previous = PreviousStatePath(path);
  if (!std::filesystem::exists(previous)) {
    return load(path);
  }
  const absl::Status status = load(before_last ? previous : path);
  if (!absl::IsFailedPrecondition(status) && !absl::IsDataLoss(status)) {
    return status;
  }
  if (before_last) {
    warn(absl::StrCat(status.message(), "; the state after it is used"));
  } else {
    warn(absl::StrCat(status.message(), "; the state before it is used"));
    std::error_code ignored;  // then both stay where they are, and loading says what is wrong
    std::filesystem::rename(path, path + ".bad", ignored);
    std::filesystem::copy_file(previous, path, ignored);
  }
  return load(path);
}

absl::StatusOr<StateTexts> ReadStateTexts(const std::string& path) {
  absl::StatusOr<StateTexts> texts = ReadTextsOf(path);
  if (absl::IsDataLoss(texts.status()) && std::filesystem::exists(PreviousStatePath(path))) {
    return ReadTextsOf(PreviousStatePath(path));
  }
  return texts;
}

absl::Status LoadTrainingState(const std::string& path, TrainingState* state) {
  return WithArchive(path, [state](torch::serialize::InputArchive* archive) {
    return ReadArchive(archive, state);
  });
}

}  // namespace stylex
