#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "trainer/commands/opening.h"
#include "trainer/commands/study_options.h"
#include "trainer/data/csv.h"
#include "trainer/data/encoded_images.h"
#include "trainer/study/user_study/page.h"
#include "trainer/study/user_study/questions.h"
#include "trainer/study/user_study/score.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

constexpr int kClipSide = 192;
constexpr size_t kStudyNameLength = 12;
constexpr std::array<const char*, 4> kGifNames = {"example1", "example2", "A", "B"};

absl::StatusOr<std::optional<int64_t>> TargetClass(const v1::ModelConfig& config,
                                                   const std::string& label) {
  if (label.empty()) {
    return std::optional<int64_t>();
  }
  for (int k = 0; k < config.labels_size(); ++k) {
    if (config.labels(k) == label) {
      return std::optional<int64_t>(k);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--target \"", label, "\": the model's classes are ", absl::StrJoin(config.labels(), ", ")));
}

absl::StatusOr<std::vector<QuestionGifs>> DrawQuestions(const Stylex& model,
                                                        const StyleVectors& styles,
                                                        const StyleRanges& ranges, double shift,
                                                        const std::vector<StudyQuestion>& plan) {
  std::vector<QuestionGifs> drawn;
  for (const StudyQuestion& question : plan) {
    QuestionGifs gifs;
    const std::array<StudyClip, 4> clips = {question.examples[0], question.examples[1],
                                            question.choices[0], question.choices[1]};
    for (size_t i = 0; i < clips.size(); ++i) {
      STYLEX_ASSIGN_OR_RETURN(gifs[i],
                              DrawStudyClip(model, styles, ranges, clips[i], shift, kClipSide));
    }
    drawn.push_back(std::move(gifs));
  }
  return drawn;
}

std::string AttributeName(const StudyAttribute& attribute, const v1::ModelConfig& config) {
  return absl::StrCat(attribute.coordinate.index,
                      attribute.coordinate.direction == 0 ? " to min" : " to max", " (",
                      config.labels(static_cast<int>(attribute.target)), ")");
}

std::string KeyFile(const std::string& study, const std::vector<StudyQuestion>& plan,
                    const std::vector<StudyAttribute>& attributes, const v1::ModelConfig& config) {
  std::string text =
      CsvLine(std::vector<std::string>{"study", "question", "answer", "attribute", "distractor"});
  for (size_t q = 0; q < plan.size(); ++q) {
    text += CsvLine(
        std::vector<std::string>{study, absl::StrCat(q + 1), std::string(1, plan[q].answer),
                                 AttributeName(attributes[plan[q].attribute], config),
                                 absl::StrCat(attributes[plan[q].distractor].coordinate.index)});
  }
  return text;
}

absl::Status WriteStudy(const WorkDirectory& run, const std::string& study,
                        const std::vector<QuestionGifs>& questions, const std::string& key) {
  const std::string folder = run.Path("study");
  std::error_code error;
  std::filesystem::create_directories(folder + "/gifs", error);
  if (error) {
    return absl::InternalError(absl::StrCat(folder, ": ", error.message()));
  }
  for (size_t q = 0; q < questions.size(); ++q) {
    for (size_t i = 0; i < kGifNames.size(); ++i) {
      STYLEX_RETURN_IF_ERROR(WriteFileAtomic(
          absl::StrFormat("%s/gifs/q%02d_%s.gif", folder, q + 1, kGifNames[i]), questions[q][i]));
    }
  }
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(folder + "/index.html", StudyPage(study, questions)));
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run.Path("key.csv"), key));
  std::printf("wrote %s/index.html and, for nobody who answers it, %s\n", folder.c_str(),
              run.Path("key.csv").c_str());
  return absl::OkStatus();
}

absl::Status MakeStudy(const CommonOptions& common, const StudyOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  const Stylex& model = checkpoint.model;
  if (!checkpoint.attributes) {
    return absl::FailedPreconditionError(absl::StrCat(
        options.checkpoint, ": has no attribute index; run `stylex-train attributes` first"));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::optional<int64_t> target,
                          TargetClass(model.config(), options.target));
  STYLEX_ASSIGN_OR_RETURN(
      const std::vector<StudyAttribute> attributes,
      ChooseStudyAttributes(*checkpoint.attributes, options.attributes, target));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "study_state", /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(
      const EncodedImages images,
      EncodeImages(model, *dataset, Split::kValidation, options.images, common.seed, run.get()));
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  STYLEX_ASSIGN_OR_RETURN(
      const std::vector<StudyQuestion> plan,
      PlanStudy(attributes,
                MeasureStudyPictures(model, images.styles, ranges, attributes, options.shift),
                model.num_classes(), options.questions, common.seed));
  STYLEX_ASSIGN_OR_RETURN(const std::vector<QuestionGifs> questions,
                          DrawQuestions(model, images.styles, ranges, options.shift, plan));
  std::string all;
  for (const QuestionGifs& gifs : questions) {
    for (const std::string& gif : gifs) {
      all += gif;
    }
  }
  const std::string study = Sha256(all).substr(0, kStudyNameLength);
  return WriteStudy(*run, study, questions, KeyFile(study, plan, attributes, model.config()));
}

absl::Status Score(const StudyOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.key));
  STYLEX_ASSIGN_OR_RETURN(const StudyKey key, ParseStudyKey(text, options.key, options.questions));
  std::vector<CsvTable> sheets;
  for (const std::string& path : options.score) {
    STYLEX_ASSIGN_OR_RETURN(CsvTable sheet, ReadCsv(path));
    sheets.push_back(std::move(sheet));
  }
  STYLEX_ASSIGN_OR_RETURN(const StudyScore score, ScoreStudy(key, sheets));
  std::printf("%s", StudyScoreText(score).c_str());
  return absl::OkStatus();
}

}  // namespace

absl::Status StudyCommand(const CommonOptions& common, const StudyOptions& options) {
  if (!options.score.empty()) {
    if (options.key.empty()) {
      return absl::InvalidArgumentError("--score needs --key, the key.csv of the study");
    }
    return Score(options);
  }
  if (common.data.empty() || common.work_directory.empty() || options.checkpoint.empty()) {
    return absl::InvalidArgumentError(
        "making a study needs --data, --work-dir and --checkpoint; scoring one needs --score and "
        "--key");
  }
  return MakeStudy(common, options);
}

}  // namespace stylex
