#include "client/explain_job.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

absl::Status WriteMarkedPng(const Bitmap& picture, const SyntheticMark& mark,
                            const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(picture, mark.PngTexts()));
  return WriteFileUnflushed(path, png);
}

// The pictures as files of their own.
absl::Status WritePictureFiles(const Explanation& explanation, const std::string& folder) {
  const std::string prefix = absl::StrCat(folder, "/", explanation.stem);
  const SyntheticMark mark = MarkOf(explanation);
  STYLEX_RETURN_IF_ERROR(
      WriteMarkedPng(explanation.reconstruction, mark, prefix + "-reconstruction.png"));
  STYLEX_RETURN_IF_ERROR(
      WriteMarkedPng(explanation.counterfactual, mark, prefix + "-counterfactual.png"));
  STYLEX_RETURN_IF_ERROR(
      WriteMarkedPng(DrawChangeMap(explanation.reconstruction, explanation.counterfactual), mark,
                     prefix + "-difference.png"));
  if (HoldsOnPhotograph(explanation)) {
    STYLEX_RETURN_IF_ERROR(WriteMarkedPng(explanation.on_photograph,
                                          MarkOf(explanation, /*in_part=*/true),
                                          prefix + "-on-photograph.png"));
  }
  for (size_t i = 0; i < explanation.steps.size(); ++i) {
    STYLEX_RETURN_IF_ERROR(
        WriteMarkedPng(explanation.steps[i], mark, absl::StrCat(prefix, "-step", i + 1, ".png")));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string gif, BeforeAndAfterGif(explanation));
  return WriteFileUnflushed(prefix + ".gif", gif);
}

std::string DecisionLine(const nlohmann::json& decision) {
  return absl::StrFormat("%s %.1f %%", decision["label"].get<std::string>(),
                         100 * decision["probability"].get<double>());
}

std::string LineOf(const nlohmann::json& facts) {
  const std::string reason = facts["reason"];
  return absl::StrCat(DecisionLine(facts["reconstruction"]), " -> ",
                      DecisionLine(facts["counterfactual"]),
                      reason.empty() ? "" : absl::StrCat(" (", reason, ")"), ", ",
                      facts["moves"].size(), " attributes");
}

}  // namespace

ExplainJob::ExplainJob(const Explainer& explainer, const v1::Model& model, const Records& records,
                       const std::vector<ExplainTask>& tasks, const ExplainJobOptions& options)
    : explainer_(explainer),
      model_(model),
      records_(records),
      tasks_(tasks),
      options_(options),
      watched_(isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && !options.json),
      asked_(absl::StrCat(explainer.request.SerializeAsString(), "\n", explainer.frames,
                          "\n" STYLEX_VERSION)),
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
  if (done_ < tasks_.size() && broken_.ok() && !explainer_.calls->cancelled()) {
    changed_.WaitFor(&mutex_, kLookInterval);
  }
  return done_ == tasks_.size() || !broken_.ok() || explainer_.calls->cancelled();
}

void ExplainJob::Work() {
  for (;;) {
    size_t task = 0;
    {
      const MutexLock lock(&mutex_);
      if (next_ == tasks_.size() || !broken_.ok() || explainer_.calls->cancelled()) {
        return;
      }
      task = next_++;
    }
    absl::StatusOr<v1::Image> image = LoadImage(tasks_[task].path);
    if (!image.ok()) {
      Finish(task, image.status(), /*resumed=*/false);
      continue;
    }
    const std::string key = Sha256(absl::StrCat(asked_, "\n", Sha256(image->data())));
    std::optional<Record> kept =
        options_.afresh ? std::nullopt : records_.Find(tasks_[task].name, key);
    if (kept) {
      Finish(task, *std::move(kept), /*resumed=*/true);
    } else {
      Finish(task, Explain(tasks_[task], *std::move(image), key), /*resumed=*/false);
    }
  }
}

absl::StatusOr<Record> ExplainJob::Explain(const ExplainTask& task, v1::Image image,
                                           const std::string& key) {
  STYLEX_ASSIGN_OR_RETURN(const Explanation explanation,
                          ExplainPhotograph(explainer_, task, std::move(image)));
  Record record{.key = key,
                .facts = FactsOf(model_, explanation),
                .pictures = {},
                .answer = ToJson(explanation.answer, task.path)};
  STYLEX_ASSIGN_OR_RETURN(record.pictures, PicturesOf(explanation));
  absl::Status written = WritePictureFiles(explanation, options_.output);
  if (written.ok()) {
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
  if (!broken_.ok() || (!record.ok() && explainer_.calls->cancelled())) {
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
    std::printf("%s\n", record.answer.c_str());
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
