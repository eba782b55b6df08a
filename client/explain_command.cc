#include <chrono>
#include <cstdio>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/folder_lock.h"
#include "base/status_macros.h"
#include "client/attribute_names.h"
#include "client/commands.h"
#include "client/explain_job.h"
#include "client/image_files.h"
#include "client/report/facts.h"
#include "client/report/report.h"
#include "client/report/sheet.h"
#include "image/codec.h"

namespace stylex {
namespace {

using Clock = std::chrono::steady_clock;

// A report of what is there so far is written again and again, the more seldom the longer it takes.
constexpr std::chrono::seconds kReportInterval(8);
constexpr int kShareOfReporting = 20;

absl::StatusOr<v1::CounterfactualRequest> MakeRequest(const v1::Model& model,
                                                      const ExplainOptions& options) {
  v1::CounterfactualRequest request;
  request.set_model(absl::StrCat(model.summary().name(), "/", model.summary().version()));
  if (!options.target.empty()) {
    *request.mutable_target_class() = ParseClass(options.target);
  }
  for (const std::string& text : options.attributes) {
    absl::StatusOr<v1::Attribute> attribute = ParseAttribute(text);
    if (!attribute.ok()) {
      attribute = FindAttribute(model, text);
    }
    STYLEX_RETURN_IF_ERROR(attribute.status());
    v1::Attribute& allowed = *request.add_attributes();
    allowed.set_index(attribute->index());
    allowed.set_direction(attribute->direction());
  }
  request.set_max_attributes(options.max_attributes);
  request.set_shift(options.shift);
  if (options.probability) {
    request.set_target_probability(*options.probability);
  }
  request.set_certificate_candidates(options.certify);
  request.set_include_steps(true);
  request.set_local(!options.whole);
  request.set_include_on_photograph(true);
  return request;
}

// "cedar-rust" and "Cedar rust" are one name.
std::string Plain(const std::string& name) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(name, {{"-", " "}, {"_", " "}}));
}

// The class that a photograph's folder is named after.
std::string FolderLabel(const v1::Model& model, const std::string& path) {
  const std::string folder =
      std::filesystem::absolute(path).lexically_normal().parent_path().filename().string();
  for (const std::string& label : model.summary().labels()) {
    if (Plain(label) == Plain(folder)) {
      return label;
    }
  }
  return "";
}

// Photographs in different folders may have the same name; their output files must not.
std::vector<ExplainTask> MakeTasks(const v1::Model& model, const std::vector<ListedImage>& images) {
  std::vector<ExplainTask> tasks;
  std::set<std::string> seen;
  for (const ListedImage& image : images) {
    std::string name = image.name;
    for (int i = 2; !seen.insert(name).second; ++i) {
      name = absl::StrCat(image.name, "-", i);
    }
    tasks.push_back({image.path, name, FolderLabel(model, image.path)});
  }
  return tasks;
}

// The photograph on which attributes of a class are shown: one decided otherwise that was asked to
// become it, else any decided otherwise; of these the one that is reconstructed best. Null: there
// is none.
const ExplainTask* ExampleFor(const std::string& label, const std::vector<ExplainTask>& tasks,
                              const ExplainJob::Results& results) {
  const ExplainTask* best = nullptr;
  double best_score = 0;
  for (size_t i = 0; i < results.facts.size(); ++i) {
    const nlohmann::json& facts = results.facts[i];
    const double ssim = facts["quality"]["ssim"];
    const double score = ssim + (facts["target"] == label ? 2 : 0);
    if (facts["decided"]["label"] != label && (best == nullptr || score > best_score)) {
      best = &tasks[results.tasks[i]];
      best_score = score;
    }
  }
  return best;
}

std::vector<AttributePair> DrawAllPairs(const ExplainSetup& setup, const v1::Model& model,
                                        const std::vector<ExplainTask>& tasks,
                                        const ExplainJob::Results& results) {
  std::vector<AttributePair> all;
  const double shift = model.attributes().shift() > 0 ? model.attributes().shift() : 1;
  for (const v1::ClassAttributes& of_class : model.attributes().classes()) {
    const int id = of_class.class_id();
    const ExplainTask* const example =
        id < model.summary().labels_size() && !setup.calls->cancelled()
            ? ExampleFor(model.summary().labels(id), tasks, results)
            : nullptr;
    if (example == nullptr) {
      continue;
    }
    // Without them the names stand alone, which is no reason to fail.
    if (absl::StatusOr<std::vector<AttributePair>> pairs =
            DrawPairs(setup, *example, of_class, shift);
        pairs.ok()) {
      all.insert(all.end(), std::make_move_iterator(pairs->begin()),
                 std::make_move_iterator(pairs->end()));
    }
  }
  return all;
}

std::string NameOfSheet(size_t sheet) {
  return sheet == 0 ? "sheet.png" : absl::StrCat("sheet-", sheet + 1, ".png");
}

absl::Status WriteSheets(const Records& records, const std::vector<ExplainTask>& tasks,
                         const ExplainJob::Results& results, const std::string& folder) {
  for (size_t begin = 0; begin < results.tasks.size(); begin += kRowsOnASheet) {
    std::vector<Bitmap> rows;
    for (size_t i = begin; i < std::min(begin + kRowsOnASheet, results.tasks.size()); ++i) {
      STYLEX_ASSIGN_OR_RETURN(Bitmap row, records.Row(tasks[results.tasks[i]].name));
      rows.push_back(std::move(row));
    }
    STYLEX_RETURN_IF_ERROR(WriteSyntheticPng(
        JoinSheetRows(rows), absl::StrCat(folder, "/", NameOfSheet(begin / kRowsOnASheet))));
  }
  return absl::OkStatus();
}

absl::Status WriteReports(const ReportInputs& inputs, const Records& records,
                          const std::vector<ExplainTask>& tasks, const std::vector<size_t>& order,
                          const std::string& folder) {
  const PictureSource pictures = [&](size_t index) -> absl::StatusOr<std::string> {
    STYLEX_ASSIGN_OR_RETURN(const nlohmann::json json, records.Pictures(tasks[order[index]].name));
    return ToPageJson(json);
  };
  STYLEX_RETURN_IF_ERROR(WriteReport(inputs, pictures, folder + "/report.html"));
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(folder + "/report.json", ReportJson(inputs)));
  return WriteFileAtomic(folder + "/report.csv", ReportCsv(inputs));
}

ReportInputs InputsOf(const v1::Model& model, const std::vector<ExplainTask>& tasks,
                      const ExplainJob::Results& results) {
  return {.model = model,
          .facts = results.facts,
          .failed = results.failed,
          .asked = tasks.size(),
          .pairs = {}};
}

// Writes the overviews of what a job has done, at the end and meanwhile.
class Reporter {
 public:
  Reporter(const ExplainSetup& setup, const v1::Model& model, const Records& records,
           const std::vector<ExplainTask>& tasks, const ExplainJob& job, const std::string& folder)
      : setup_(setup),
        model_(model),
        records_(records),
        tasks_(tasks),
        job_(job),
        folder_(folder) {}

  // If it is time for it. A failure is not one of the job: the last report will tell.
  void WriteMeanwhile() {
    if (Clock::now() < next_) {
      return;
    }
    const Clock::time_point begin = Clock::now();
    const ExplainJob::Results results = job_.Collect();
    if (results.facts.size() > written_) {
      WriteReports(InputsOf(model_, tasks_, results), records_, tasks_, results.tasks, folder_)
          .IgnoreError();
      written_ = results.facts.size();
    }
    const Clock::time_point end = Clock::now();
    next_ = end + std::max<Clock::duration>(kReportInterval, kShareOfReporting * (end - begin));
  }

  // False if nothing was explained; an earlier report then gives way to one of the failures.
  absl::StatusOr<bool> WriteLast() const {
    const ExplainJob::Results results = job_.Collect();
    ReportInputs inputs = InputsOf(model_, tasks_, results);
    if (results.facts.empty()) {
      std::error_code error;
      if (!results.failed.empty() && std::filesystem::exists(folder_ + "/report.html", error)) {
        STYLEX_RETURN_IF_ERROR(WriteReports(inputs, records_, tasks_, results.tasks, folder_));
      }
      return false;
    }
    inputs.pairs = DrawAllPairs(setup_, model_, tasks_, results);
    STYLEX_RETURN_IF_ERROR(WriteReports(inputs, records_, tasks_, results.tasks, folder_));
    STYLEX_RETURN_IF_ERROR(WriteSheets(records_, tasks_, results, folder_));
    return true;
  }

 private:
  const ExplainSetup& setup_;
  const v1::Model& model_;
  const Records& records_;
  const std::vector<ExplainTask>& tasks_;
  const ExplainJob& job_;
  const std::string& folder_;
  Clock::time_point next_ = Clock::now() + kReportInterval;
  size_t written_ = 0;
};

}  // namespace

absl::Status ExplainCommand(const ConnectionOptions& connection, const ExplainOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(std::vector<ListedImage> images,
                          ListImagesDeeply(options.paths, options.output));
  if (options.limit > 0) {
    images.resize(std::min(images.size(), static_cast<size_t>(options.limit)));
  }
  STYLEX_RETURN_IF_ERROR(MakeFolder(options.output));
  STYLEX_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::Take(options.output));
  RunningCalls calls;
  const Interrupt interrupt(
      {SIGINT, SIGTERM}, [&calls] { calls.CancelAll(); }, /*patient=*/true);
  STYLEX_ASSIGN_OR_RETURN(const auto stub, Connect(connection));
  STYLEX_ASSIGN_OR_RETURN(const v1::Model model,
                          DescribeModel(connection, stub.get(), connection.model));
  STYLEX_ASSIGN_OR_RETURN(const v1::CounterfactualRequest request, MakeRequest(model, options));
  const ExplainSetup setup = {.connection = connection,
                              .stub = stub.get(),
                              .request = request,
                              .frames = options.frames,
                              .calls = &calls,
                              .preprocessing = model.preprocessing()};
  const std::vector<ExplainTask> tasks = MakeTasks(model, images);
  STYLEX_ASSIGN_OR_RETURN(const Records records, Records::Open(options.output));
  const ExplainJobOptions how = {.calls = options.calls,
                                 .afresh = options.afresh,
                                 .json = connection.json,
                                 .output = options.output};
  ExplainJob job(setup, model, records, tasks, how);
  Reporter reporter(setup, model, records, tasks, job, options.output);
  STYLEX_RETURN_IF_ERROR(job.Run([&reporter] { reporter.WriteMeanwhile(); }));
  STYLEX_ASSIGN_OR_RETURN(const bool written, reporter.WriteLast());
  if (written && !connection.json) {
    std::printf("wrote %s/report.html\n", options.output.c_str());
  }
  return interrupt.signal() != 0 ? InterruptedBy(interrupt.signal()) : job.Summary();
}

}  // namespace stylex
