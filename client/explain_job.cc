#include "client/explain_job.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/exceptions.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "client/image_files.h"
#include "client/report/change.h"
#include "client/report/facts.h"
#include "client/report/sheet.h"
#include "image/codec.h"

namespace stylex {
namespace {

constexpr std::chrono::milliseconds kLookInterval(200);

// Writes the files of one photograph into a folder and remembers their names.
class PictureFiles {
 public:
  PictureFiles(const std::string& folder, const std::string& stem) : folder_(folder), stem_(stem) {}

  absl::Status WritePng(const Bitmap& picture, const SyntheticMark& mark,
                        const std::string& ending) {
    STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(picture, mark.PngTexts()));
    return Write(png, ending + ".png");
  }
  absl::Status Write(const std::string& bytes, const std::string& ending) {
    names_.push_back(stem_ + ending);
    return WriteFileUnflushed(absl::StrCat(folder_, "/", names_.back()), bytes);
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  const std::string folder_;
  const std::string stem_;
  std::vector<std::string> names_;
};

// The pictures as files of their own; their names.
absl::StatusOr<std::vector<std::string>> WritePictureFiles(const ExplainedPhotograph& explanation,
                                                           const std::string& folder) {
  PictureFiles files(folder, explanation.stem);
  const SyntheticMark mark = MarkOf(explanation);
  STYLEX_RETURN_IF_ERROR(files.WritePng(explanation.reconstruction, mark, "-reconstruction"));
  STYLEX_RETURN_IF_ERROR(files.WritePng(explanation.counterfactual, mark, "-counterfactual"));
  STYLEX_RETURN_IF_ERROR(files.WritePng(
      DrawChangeMap(explanation.reconstruction, explanation.counterfactual), mark, "-difference"));
  if (HoldsOnPhotograph(explanation)) {
    STYLEX_RETURN_IF_ERROR(files.WritePng(explanation.on_photograph,
                                          MarkOf(explanation, /*in_part=*/true), "-on-photograph"));
  }
  for (size_t i = 0; i < explanation.steps.size(); ++i) {
    STYLEX_RETURN_IF_ERROR(
        files.WritePng(explanation.steps[i], mark, absl::StrCat("-step", i + 1)));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string gif, BeforeAndAfterGif(explanation));
  STYLEX_RETURN_IF_ERROR(files.Write(gif, ".gif"));
  return files.names();
}

// The model's content: its attributes, words and figures may change while its version stays.
std::string DigestOf(const v1::Model& model) {
  std::string bytes;
  google::protobuf::io::StringOutputStream output(&bytes);
  google::protobuf::io::CodedOutputStream coded(&output);
  coded.SetSerializationDeterministic(true);
  model.SerializeToCodedStream(&coded);
  coded.Trim();
  return Sha256(bytes);
}

std::string DecisionLine(const nlohmann::json& decision) {
  return absl::StrFormat("%s %.1f %%", decision.at("label").get<std::string>(),
                         100 * decision.at("probability").get<double>());
}

std::string LineOf(const nlohmann::json& facts) {
  const std::string reason = facts.at("reason");
  return absl::StrCat(DecisionLine(facts.at("reconstruction")), " -> ",
                      DecisionLine(facts.at("counterfactual")),
                      reason.empty() ? "" : absl::StrCat(" (", reason, ")"), ", ",
                      facts.at("moves").size(), " attributes");
}

}  // namespace

ExplainJob::ExplainJob(const ExplainSetup& setup, const v1::Model& model, const Records& records,
                       const std::vector<ExplainTask>& tasks, const ExplainJobOptions& options)
    : setup_(setup),
      model_(model),
      records_(records),
      tasks_(tasks),
      options_(options),
      watched_(isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && !options.json),
      asked_(absl::StrCat(setup.request.SerializeAsString(), "\n", setup.frames, "\n",
                          DigestOf(model), "\n" STYLEX_VERSION "\n", kFactsFormat)),
      facts_(tasks.size()),
      failed_(tasks.size()),
      failures_(tasks.size()),
      progress_(tasks.size()) {}

absl::Status ExplainJob::Run(const std::function<void()>& meanwhile) {
  const size_t count = std::min(tasks_.size(), static_cast<size_t>(std::max(1, options_.calls)));
  std::vector<std::jthread> workers;
  for (size_t i = 0; i < count; ++i) {
    workers.emplace_back([this] { Work(); });
  }
  while (!WaitAWhile()) {
    meanwhile();
  }
  workers.clear();
  const MutexLock lock(&mutex_);
  progress_.Clear();
  return broken_;
}

bool ExplainJob::WaitAWhile() {
  const MutexLock lock(&mutex_);
  if (done_ < tasks_.size() && broken_.ok() && !setup_.calls->cancelled()) {
    changed_.WaitFor(&mutex_, kLookInterval);
  }
  return done_ == tasks_.size() || !broken_.ok() || setup_.calls->cancelled();
}

void ExplainJob::Work() {
  for (;;) {
    size_t task = 0;
    {
      const MutexLock lock(&mutex_);
      if (next_ == tasks_.size() || !broken_.ok() || setup_.calls->cancelled()) {
        return;
      }
      task = next_++;
    }
    bool resumed = false;
    absl::StatusOr<Record> record =
        WithoutExceptions([&] { return FindOrExplain(tasks_[task], &resumed); });
    Finish(task, std::move(record), resumed);
  }
}

absl::StatusOr<Record> ExplainJob::FindOrExplain(const ExplainTask& task, bool* resumed) {
  STYLEX_ASSIGN_OR_RETURN(v1::Image image, LoadImage(task.path));
  const std::string key = Sha256(absl::StrCat(asked_, "\n", Sha256(image.data())));
  if (!options_.afresh) {
    std::optional<Record> kept = records_.Find(task.name, key);
    const auto has_facts = [&kept] {
      (void)LineOf(kept->facts);
      return absl::OkStatus();
    };
    if (kept && WithoutExceptions(has_facts).ok()) {
      *resumed = true;
      return *std::move(kept);
    }
  }
  return Explain(task, image, key);
}

absl::StatusOr<Record> ExplainJob::Explain(const ExplainTask& task, const v1::Image& image,
                                           const std::string& key) {
  STYLEX_ASSIGN_OR_RETURN(const ExplainedPhotograph explanation,
                          ExplainPhotograph(setup_, task, image));
  Record record{.key = key,
                .facts = FactsOf(model_, explanation),
                .pictures = {},
                .answer = ToJson(explanation.answer),
                .files = {}};
  STYLEX_ASSIGN_OR_RETURN(record.pictures, PicturesOf(explanation));
  absl::StatusOr<std::vector<std::string>> files = WritePictureFiles(explanation, options_.output);
  absl::Status written = files.status();
  if (files.ok()) {
    record.files = *std::move(files);
    written = records_.Write(task.name, record, DrawSheetRow(explanation));
  }
  if (!written.ok()) {  // as it will be for the next photograph
    const MutexLock lock(&mutex_);
    broken_.Update(written);
  }
  return record;
}

void ExplainJob::Finish(size_t task, absl::StatusOr<Record> record, bool resumed) {
  const MutexLock lock(&mutex_);
  if (!broken_.ok() || (!record.ok() && setup_.calls->cancelled())) {
    changed_.NotifyAll();
    return;  // not a fault of the photograph
  }
  ++done_;
  resumed_ += resumed ? 1 : 0;
  progress_.Clear();
  if (record.ok()) {
    Print(tasks_[task], *record);
    facts_[task] = std::move(record->facts);
    (*facts_[task])["path"] = tasks_[task].path;
    (*facts_[task])["folder_label"] = tasks_[task].folder_label;
  } else {
    failures_.Add(tasks_[task].path, record.status());
    failed_[task] = {tasks_[task].path, std::string(record.status().message())};
  }
  progress_.Draw(done_, resumed_);
  changed_.NotifyAll();
}

void ExplainJob::Print(const ExplainTask& task, const Record& record) {
  if (options_.json) {
    std::printf("%s\n", WithPath(record.answer, task.path).c_str());
  } else if (!watched_) {
    std::printf("%s: %s\n", task.path.c_str(), LineOf(record.facts).c_str());
    for (const nlohmann::json& note : record.facts["notes"]) {
      const std::string text = note;
      if (!text.starts_with("Not flipped: ") && !text.starts_with("Flipped, but ")) {  // told above
        std::printf("%s: %s\n", task.path.c_str(), text.c_str());
      }
    }
  }
  std::fflush(stdout);  // a line at once, even into a pipe
}

ExplainJob::Results ExplainJob::Collect() const {
  const MutexLock lock(&mutex_);
  Results results;
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (facts_[i]) {
      results.facts.push_back(*facts_[i]);
      results.tasks.push_back(i);
    } else if (failed_[i]) {
      results.failed.push_back(*failed_[i]);
    }
  }
  return results;
}

absl::Status ExplainJob::Summary() const {
  const MutexLock lock(&mutex_);
  return failures_.Summary();
}

}  // namespace stylex
