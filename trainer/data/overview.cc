#include "trainer/data/overview.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "image/codec.h"
#include "image/image_size.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/image_files.h"

namespace stylex {
namespace {

constexpr size_t kHeaderBytes = 64 << 10;
constexpr size_t kMostClasses = 20;
constexpr size_t kMostNamed = 100;
constexpr size_t kDuplicatesNamed = 3;

std::string Beginning(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             std::fclose);
  std::string bytes(kHeaderBytes, '\0');
  bytes.resize(file == nullptr ? 0 : std::fread(bytes.data(), 1, bytes.size(), file.get()));
  return bytes;
}

// What a file that cannot be read as an image looks like.
std::string KindOf(std::string_view start) {
  if (start.empty()) {
    return "empty or unreadable";
  }
  const std::string_view brand = start.substr(0, 12).substr(std::min<size_t>(4, start.size()));
  if (brand.starts_with("ftypavi")) {
    return "AVIF";
  }
  if (brand.starts_with("ftyphei") || brand.starts_with("ftypmif")) {
    return "HEIC";
  }
  if (start.starts_with("GIF8")) {
    return "GIF";
  }
  if (start.starts_with("BM")) {
    return "BMP";
  }
  if (start.starts_with("II*") || start.starts_with("MM")) {
    return "TIFF";
  }
  if (start.starts_with("<")) {
    return "HTML, XML or SVG";
  }
  return "no image";
}

std::string NameOf(ImageFormat format) {
  return format == ImageFormat::kJpeg ? "JPEG" : format == ImageFormat::kPng ? "PNG" : "WebP";
}

// Figures of all files.
struct Files {
  std::map<std::string, int64_t> formats;
  std::optional<ImageSize> least, greatest;
  std::map<Split, std::vector<std::string>> no_images;  // "path (kind)"

  void Add(Split split, const std::string& path) {
    const std::string start = Beginning(path);
    const ImageFormat format = DetectFormat(start);
    if (format == ImageFormat::kUnknown || format == ImageFormat::kGif) {
      no_images[split].push_back(absl::StrCat(path, " (", KindOf(start), ")"));
      return;
    }
    ++formats[NameOf(format)];
    if (const std::optional<ImageSize> size = SizeOfImage(start)) {
      const auto pixels = [](const ImageSize& of) { return of.width * of.height; };
      least = !least || pixels(*size) < pixels(*least) ? size : least;
      greatest = !greatest || pixels(*size) > pixels(*greatest) ? size : greatest;
    }
  }
  std::string Text() const {
    std::vector<std::string> parts;
    for (const auto& [name, count] : formats) {
      parts.push_back(absl::StrCat(count, " ", name));
    }
    const auto text = [](const ImageSize& size) {
      return absl::StrCat(size.width, "x", size.height);
    };
    return absl::StrCat(
        absl::StrJoin(parts, ", "),
        least ? absl::StrCat("; ", text(*least), " to ", text(*greatest), " pixels") : "");
  }
};

std::string ClassesText(const Dataset& dataset, Split split) {
  const size_t classes = dataset.labels().size();
  std::vector<int64_t> counts(classes);
  for (int64_t i = 0; i < dataset.size(split); ++i) {
    if (const int64_t label = dataset.label(split, i);
        label >= 0 && label < static_cast<int64_t>(classes)) {
      ++counts[static_cast<size_t>(label)];
    }
  }
  std::vector<std::string> parts;
  for (size_t k = 0; k < std::min(classes, kMostClasses); ++k) {
    parts.push_back(absl::StrCat(dataset.labels()[k], " ", counts[k]));
  }
  return absl::StrCat(dataset.size(split),
                      dataset.labelled() ? absl::StrCat(" (", absl::StrJoin(parts, ", "),
                                                        classes > kMostClasses ? ", ..." : "", ")")
                                         : " without labels");
}

void AddDuplicates(const std::vector<v1::DataFile>& inventory, std::vector<std::string>* warnings) {
  std::map<std::string, const v1::DataFile*> training;
  for (const v1::DataFile& file : inventory) {
    if (file.split() == "train" && file.size() > 0) {
      training.emplace(file.sha256(), &file);
    }
  }
  std::vector<std::string> pairs;
  for (const v1::DataFile& file : inventory) {
    const auto found = training.find(file.sha256());
    if (file.split() != "train" && found != training.end()) {
      pairs.push_back(absl::StrCat(file.name(), " = ", found->second->name()));
    }
  }
  if (!pairs.empty()) {
    const size_t count = pairs.size();
    pairs.resize(std::min(count, kDuplicatesNamed));
    warnings->push_back(absl::StrCat(count,
                                     " validation files are training files as well, so that "
                                     "figures are too good: ",
                                     absl::StrJoin(pairs, ", "),
                                     count > kDuplicatesNamed ? ", ..." : ""));
  }
}

void AddNoImages(const Dataset& dataset, Split split, std::vector<std::string> files,
                 Overview* overview) {
  const int64_t count = static_cast<int64_t>(files.size());
  const bool more = files.size() > kMostNamed;
  files.resize(std::min(files.size(), kMostNamed));
  const std::string text = absl::StrCat(
      count, " of ", dataset.size(split), split == Split::kTrain ? " training" : " validation",
      " files are not JPEG, PNG or WebP images, whatever their names say: ",
      absl::StrJoin(files, ", "), more ? ", ..." : "");
  if (count == dataset.size(split) ||
      (split == Split::kTrain && TooManyUnreadable(count, dataset.size(split)))) {
    overview->status.Update(absl::DataLossError(text));
  } else {
    overview->warnings.push_back(text);
  }
}

}  // namespace

Overview LookOver(const Dataset& dataset, const std::vector<v1::DataFile>& inventory) {
  Overview overview;
  Files files;
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const std::vector<std::string> paths = dataset.files(split);
    if (static_cast<int64_t>(paths.size()) == dataset.size(split)) {  // one image each
      for (const std::string& path : paths) {
        files.Add(split, path);
      }
    }
  }
  overview.lines.push_back(absl::StrCat(
      "data: ", dataset.labels().size(), " classes; ", ClassesText(dataset, Split::kTrain),
      " training images, ", ClassesText(dataset, Split::kValidation), " for validation"));
  if (!files.formats.empty()) {
    overview.lines.push_back(absl::StrCat("files: ", files.Text()));
  }
  if (!dataset.left_out().empty()) {
    overview.lines.push_back(absl::StrCat("left out: ", LeftOutText(dataset.left_out())));
  }
  AddDuplicates(inventory, &overview.warnings);
  for (auto& [split, of_split] : files.no_images) {
    AddNoImages(dataset, split, of_split, &overview);
  }
  return overview;
}

}  // namespace stylex
