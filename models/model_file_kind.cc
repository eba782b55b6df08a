#include "models/model_file_kind.h"

#include <array>
#include <string_view>

#include "base/file.h"

namespace stylex {
namespace {

constexpr int64_t kMostRead = int64_t{8} << 30;

struct Kind {
  std::string_view entry;  // what the name of one of a zip's entries ends with
  std::string_view name;
};

// Entries that distinguish what is stored as a zip, the most telling first.
constexpr std::array<Kind, 7> kZips = {{
    {"/constants.pkl", "TorchScript"},
    {"serialized_exported_program.json", "a torch.export program (.pt2)"},
    {"archive_format", "a torch.export program (.pt2)"},
    {"data.pkl", "weights or a pickled module of PyTorch (torch.save)"},
    {".npy", "an archive of NumPy arrays"},
    {"model.weights.h5", "a Keras model"},
    {".mlmodel", "a Core ML model"},
}};

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string KindOfZip(std::string_view bytes) {
  // The central directory, at the end, lists all names.
  const std::string_view names = bytes.substr(
      bytes.rfind("PK\x05\x06") == std::string_view::npos ? 0 : bytes.find("PK\x01\x02"));
  for (const Kind& kind : kZips) {
    if (Contains(names, kind.entry)) {
      return std::string(kind.name);
    }
  }
  return "a zip archive";
}

bool LooksLikeSafeTensors(std::string_view bytes) {
  return bytes.size() > 9 && bytes[8] == '{' &&
         bytes.substr(3, 5) == std::string_view("\0\0\0\0\0", 5);
}

}  // namespace

std::string ModelFileKind(const std::string& path) {
  const auto bytes = ReadFile(path, kMostRead);
  if (!bytes.ok()) {
    return "";
  }
  const std::string_view start = std::string_view(*bytes).substr(0, 256);
  if (start.empty()) {
    return "an empty file";
  }
  if (start.starts_with("PK\x03\x04")) {
    return KindOfZip(*bytes);
  }
  if (start.starts_with("\x80\x02") || start.starts_with("\x80\x03") ||
      start.starts_with("\x80\x04") || start.starts_with("\x80\x05")) {
    return "a Python pickle";
  }
  if (start.starts_with("\x89HDF")) {
    return "an HDF5 file (Keras)";
  }
  if (start.substr(0, 8).ends_with("TFL3")) {
    return "a TensorFlow Lite model";
  }
  if (LooksLikeSafeTensors(start)) {
    return "weights as safetensors";
  }
  if (start[0] == '\x08' &&
      (path.ends_with(".onnx") || Contains(start, "pytorch") || Contains(start, "onnx"))) {
    return "an ONNX model";
  }
  if (path.ends_with(".pb")) {
    return "a TensorFlow model";
  }
  return "";
}

}  // namespace stylex
