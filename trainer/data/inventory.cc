#include "trainer/data/inventory.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sha256.h"
#include "trainer/data/utf8.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostHashedWhole = int64_t{4} << 30;  // bytes of the whole data set
constexpr int64_t kSampledFrom = 1 << 20;
constexpr int64_t kSample = 256 << 10;
constexpr size_t kNamed = 3;

// The deepest folder that all paths lie in, with a slash at its end.
std::string CommonFolder(const std::vector<std::string>& paths) {
  if (paths.empty()) {
    return "";
  }
  const auto [least, greatest] = std::minmax_element(paths.begin(), paths.end());
  const size_t length = std::min(least->size(), greatest->size());
  const auto end = std::mismatch(least->begin(), least->begin() + static_cast<int64_t>(length),
                                 greatest->begin());
  const std::string common(least->begin(), end.first);
  return common.substr(0, common.rfind('/') + 1);
}

// Of the first, middle and last bytes; empty if they cannot be read.
std::string HashOfSamples(const std::string& path, int64_t size) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             std::fclose);
  std::string bytes(3 * kSample, '\0');
  char* next = bytes.data();
  for (const int64_t start : {int64_t{0}, (size - kSample) / 2, size - kSample}) {
    if (file == nullptr || std::fseek(file.get(), start, SEEK_SET) != 0 ||
        std::fread(next, 1, kSample, file.get()) != kSample) {
      return "";
    }
    next += kSample;
  }
  return Sha256(bytes);
}

int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  return error ? -1 : static_cast<int64_t>(size);
}

void Hash(const std::string& path, bool sampled, v1::DataFile* file) {
  if (file->size() >= 0 && sampled && file->size() > kSampledFrom) {
    file->set_sha256(HashOfSamples(path, file->size()));
  } else if (file->size() >= 0) {
    file->set_sha256(Sha256OfFile(path).value_or(""));
  }
  if (file->sha256().empty()) {
    file->set_size(-1);
  }
}

std::string FileText(const v1::DataFile& file) {
  return file.size() < 0 ? "unreadable"
                         : absl::StrCat(file.size(), " bytes, SHA-256 ",
                                        file.sha256().substr(0, 12), "..., class ", file.label());
}

using ByName = std::map<std::pair<std::string, std::string>, const v1::DataFile*>;

ByName Indexed(const std::vector<v1::DataFile>& files) {
  ByName index;
  for (const v1::DataFile& file : files) {
    index[{file.split(), file.name()}] = &file;
  }
  return index;
}

// Names of folders of images begin with their split's folder already.
std::string NameWithSplit(const v1::DataFile& file) {
  const std::string folder = file.name().substr(0, file.name().find('/'));
  const bool named = folder != file.name() && file.split().starts_with(folder);  // train/, val/
  return named ? file.name() : absl::StrCat(file.split(), " ", file.name());
}

}  // namespace

std::vector<v1::DataFile> TakeInventory(const Dataset& dataset) {
  std::vector<std::string> paths;
  std::vector<v1::DataFile> files;
  int64_t bytes = 0;
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const std::vector<std::string> of_split = dataset.files(split);
    const bool one_each = static_cast<int64_t>(of_split.size()) == dataset.size(split);
    for (size_t i = 0; i < of_split.size(); ++i) {
      v1::DataFile& file = files.emplace_back();
      file.set_split(split == Split::kTrain ? "train" : "validation");
      file.set_label(one_each ? dataset.label(split, static_cast<int64_t>(i)) : kNoLabel);
      file.set_size(SizeOf(of_split[i]));
      bytes += std::max<int64_t>(0, file.size());
      paths.push_back(of_split[i]);
    }
  }
  const size_t skipped = CommonFolder(paths).size();
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name = paths[i].substr(skipped);
    files[i].set_name(IsUtf8(name) ? name : absl::CHexEscape(name));
    Hash(paths[i], bytes > kMostHashedWhole, &files[i]);
  }
  std::sort(files.begin(), files.end(), [](const v1::DataFile& a, const v1::DataFile& b) {
    return std::tie(a.split(), a.name()) < std::tie(b.split(), b.name());
  });
  return files;
}

std::string InventoryDifference(const std::vector<v1::DataFile>& then,
                                const std::vector<v1::DataFile>& now) {
  const ByName before = Indexed(then), after = Indexed(now);
  std::vector<std::string> named;
  size_t count = 0;
  const auto add = [&](const v1::DataFile& file, const std::string& first,
                       const std::string& second) {
    if (++count <= kNamed) {
      named.push_back(absl::StrCat(NameWithSplit(file), " (then ", first, "; now ", second, ")"));
    }
  };
  for (const auto& [key, file] : before) {
    const auto found = after.find(key);
    if (found == after.end()) {
      add(*file, FileText(*file), "not there");
    } else if (FileText(*file) != FileText(*found->second) ||
               file->sha256() != found->second->sha256()) {
      add(*file, FileText(*file), FileText(*found->second));
    }
  }
  for (const auto& [key, file] : after) {
    if (!before.contains(key)) {
      add(*file, "not there", FileText(*file));
    }
  }
  if (count == 0) {
    return "";
  }
  return absl::StrCat("then ", then.size(), " files, now ", now.size(), "; ", count,
                      " differ: ", absl::StrJoin(named, ", "), count > kNamed ? ", ..." : "");
}

}  // namespace stylex
