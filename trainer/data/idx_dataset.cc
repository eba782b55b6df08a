#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/resize.h"
#include "trainer/data/dataset.h"

namespace stylex {
namespace {

constexpr int64_t kMaxDecompressedBytes = int64_t{8} << 30;
constexpr int kPaddedFrom = 28;
constexpr int kPaddedTo = 32;

// The path of the file or of NAME.gz; empty when neither exists.
std::string FindFile(const std::string& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    const std::string path = absl::StrCat(folder, "/", name, suffix);
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) {
      return path;
    }
  }
  return "";
}

// zlib also reads uncompressed files, so both cases share this code.
absl::StatusOr<std::vector<uint8_t>> ReadMaybeCompressed(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  }
  const absl::Cleanup close = [file] { gzclose_r(file); };
  std::vector<uint8_t> data;
  std::array<uint8_t, 1 << 16> chunk;
  int read = 0;
  while ((read = gzread(file, chunk.data(), chunk.size())) > 0) {
    data.insert(data.end(), chunk.begin(), chunk.begin() + read);
    if (static_cast<int64_t>(data.size()) > kMaxDecompressedBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": more than ", kMaxDecompressedBytes, " bytes when unpacked"));
    }
  }
  int code = Z_OK;
  const char* message = gzerror(file, &code);
  if (read < 0 || (code != Z_OK && code != Z_STREAM_END)) {
    return absl::DataLossError(
        absl::StrCat(path, ": cannot be unpacked: ", code == Z_BUF_ERROR ? "truncated" : message));
  }
  return data;
}

uint32_t BigEndian32(std::span<const uint8_t> bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

struct IdxArray {
  std::vector<int64_t> dimensions;
  std::vector<uint8_t> data;  // without the header
};

absl::StatusOr<IdxArray> ReadIdx(const std::string& path, size_t num_dimensions) {
  STYLEX_ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, ReadMaybeCompressed(path));
  const size_t header = 4 + 4 * num_dimensions;
  const uint32_t magic = 0x0800 | static_cast<uint32_t>(num_dimensions);
  if (bytes.size() < header || BigEndian32(bytes) != magic) {
    return absl::DataLossError(absl::StrCat(path, ": not an IDX file of bytes with ",
                                            num_dimensions, " dimensions (magic number 0x",
                                            absl::Hex(magic, absl::kZeroPad8), ")"));
  }
  IdxArray array;
  int64_t expected = 1;
  for (size_t d = 0; d < num_dimensions; ++d) {
    array.dimensions.push_back(BigEndian32(std::span(bytes).subspan(4 + 4 * d)));
    expected *= array.dimensions.back();
    if (array.dimensions.back() > (1 << 28) || expected > kMaxDecompressedBytes) {
      return absl::DataLossError(absl::StrCat(path, ": header claims a dimension of ",
                                              array.dimensions.back(), " entries"));
    }
  }
  const int64_t actual = static_cast<int64_t>(bytes.size() - header);
  if (actual != expected) {
    return absl::DataLossError(
        absl::StrCat(path, ": holds ", actual, " values, but its header says ", expected));
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<int64_t>(header));
  array.data = std::move(bytes);
  return array;
}

struct IdxSplit {
  std::string images_path;
  std::string labels_path;
  IdxArray images;  // [N, H, W]
  IdxArray labels;  // [N]
};

absl::StatusOr<IdxSplit> ReadSplit(const std::string& folder, const std::string& stem) {
  IdxSplit split;
  split.images_path = FindFile(folder, stem + "-images-idx3-ubyte");
  split.labels_path = FindFile(folder, stem + "-labels-idx1-ubyte");
  if (split.images_path.empty() || split.labels_path.empty()) {
    return absl::NotFoundError(absl::StrCat(
        folder, ": has no ", stem,
        split.images_path.empty() ? "-images-idx3-ubyte" : "-labels-idx1-ubyte", " (or .gz)"));
  }
  STYLEX_ASSIGN_OR_RETURN(split.images, ReadIdx(split.images_path, 3));
  STYLEX_ASSIGN_OR_RETURN(split.labels, ReadIdx(split.labels_path, 1));
  const std::vector<int64_t>& size = split.images.dimensions;
  if (size[0] != split.labels.dimensions[0]) {
    return absl::DataLossError(absl::StrCat(split.labels_path, ": ", split.labels.dimensions[0],
                                            " labels for ", size[0], " images in ",
                                            split.images_path));
  }
  if (size[0] == 0 || size[1] == 0 || size[2] == 0) {
    return absl::InvalidArgumentError(absl::StrCat(split.images_path, ": holds no images"));
  }
  return split;
}

class IdxDataset : public Dataset {
 public:
  IdxDataset(const DatasetOptions& options, IdxSplit train, IdxSplit validation)
      : Dataset(PreparationOf(options, train)),
        train_(std::move(train)),
        validation_(std::move(validation)) {}

  absl::Status SetLabels(std::vector<std::string> labels) {
    int64_t classes = 0;
    for (const IdxSplit* split : {&train_, &validation_}) {
      for (const uint8_t label : split->labels.data) {
        classes = std::max<int64_t>(classes, label + 1);
      }
    }
    if (labels.empty()) {
      for (int64_t k = 0; k < classes; ++k) {
        labels.push_back(absl::StrCat(k));
      }
    }
    if (static_cast<int64_t>(labels.size()) < std::max<int64_t>(classes, 2)) {
      return absl::InvalidArgumentError(absl::StrCat(train_.images_path, ": has ", classes,
                                                     " classes, but ", labels.size(),
                                                     " labels are given"));
    }
    labels_ = std::move(labels);
    return absl::OkStatus();
  }

  int64_t size(Split split) const override { return Of(split).images.dimensions[0]; }
  int64_t label(Split split, int64_t index) const override {
    return Of(split).labels.data[static_cast<size_t>(index)];
  }
  std::string name(Split split, int64_t index) const override {
    return absl::StrCat(Of(split).images_path, "#", index);
  }
  std::vector<std::string> files(Split split) const override {
    return {Of(split).images_path, Of(split).labels_path};
  }

  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    const IdxArray& images = Of(split).images;
    const int height = static_cast<int>(images.dimensions[1]);
    const int width = static_cast<int>(images.dimensions[2]);
    const auto begin = images.data.begin() + index * height * width;
    return PrepareImage({width, height, 1, {begin, begin + height * width}}, preparation());
  }

 private:
  const IdxSplit& Of(Split split) const { return split == Split::kTrain ? train_ : validation_; }

  static Preparation PreparationOf(const DatasetOptions& options, const IdxSplit& train) {
    Preparation preparation = options;
    if (train.images.dimensions[1] == kPaddedFrom && train.images.dimensions[2] == kPaddedFrom &&
        options.resolution == kPaddedTo) {
      preparation.padded_from = kPaddedFrom;
    }
    return preparation;
  }

  IdxSplit train_;
  IdxSplit validation_;
};

}  // namespace

bool LooksLikeIdx(const std::string& path) {
  return !FindFile(path, "train-images-idx3-ubyte").empty();
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenIdxDataset(const std::string& path,
                                                        const DatasetOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(IdxSplit train, ReadSplit(path, "train"));
  STYLEX_ASSIGN_OR_RETURN(IdxSplit validation, ReadSplit(path, "t10k"));
  for (const IdxSplit* split : {&train, &validation}) {
    const int height = split->images.dimensions[1], width = split->images.dimensions[2];
    if (options.crop > std::min(height, width)) {
      return absl::InvalidArgumentError(absl::StrCat(split->images_path, ": the images are ", width,
                                                     "x", height, " pixels, the square to be cut ",
                                                     "out has ", options.crop, "; crop less"));
    }
  }
  auto dataset = std::make_unique<IdxDataset>(options, std::move(train), std::move(validation));
  STYLEX_RETURN_IF_ERROR(dataset->SetLabels(options.labels));
  return dataset;
}

}  // namespace stylex
