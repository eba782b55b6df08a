#include "models/safetensors.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/codec.h"

namespace stylex {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr int64_t kMaxFileBytes = int64_t{8} << 30;
constexpr size_t kMaxDimensions = 16;
constexpr char kMetadata[] = "__metadata__";

struct DtypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr std::array<DtypeName, 10> kDtypes = {{{"F64", torch::kFloat64},
                                                {"F32", torch::kFloat32},
                                                {"F16", torch::kFloat16},
                                                {"BF16", torch::kBFloat16},
                                                {"I64", torch::kInt64},
                                                {"I32", torch::kInt32},
                                                {"I16", torch::kInt16},
                                                {"I8", torch::kInt8},
                                                {"U8", torch::kUInt8},
                                                {"BOOL", torch::kBool}}};

std::optional<torch::ScalarType> DtypeFromName(std::string_view name) {
  for (const DtypeName& dtype : kDtypes) {
    if (name == dtype.name) {
      return dtype.type;
    }
  }
  return std::nullopt;
}

std::optional<std::string> NameOfDtype(torch::ScalarType type) {
  for (const DtypeName& dtype : kDtypes) {
    if (type == dtype.type) {
      return dtype.name;
    }
  }
  return std::nullopt;
}

uint64_t LittleEndian64(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = kLengthBytes; i > 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  }
  return value;
}

// nlohmann keeps the last of two equal keys; a strict reader refuses them.
absl::StatusOr<json> ParseHeader(std::string_view header) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const json parsed = json::parse(
      header,
      [&](int, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start) {
          keys.emplace_back();
        } else if (event == json::parse_event_t::object_end) {
          keys.pop_back();
        } else if (event == json::parse_event_t::key &&
                   !keys.back().insert(value.get<std::string>()).second) {
          duplicate = value.get<std::string>();
        }
        return true;
      },
      /*allow_exceptions=*/false);
  if (!duplicate.empty()) {
    return absl::DataLossError(absl::StrCat("header names \"", duplicate, "\" twice"));
  }
  if (parsed.is_discarded() || !parsed.is_object()) {
    return absl::DataLossError("header is not a JSON object");
  }
  return parsed;
}

struct Entry {
  std::string name;
  torch::ScalarType type = torch::kFloat32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

bool IsUnsigned(const json& value) { return value.is_number_unsigned(); }

absl::StatusOr<Entry> ParseEntry(const std::string& name, const json& value) {
  const auto fault = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat("tensor \"", name, "\": ", what));
  };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value.contains("shape") || !value.contains("data_offsets")) {
    return fault("entry is not {dtype, shape, data_offsets}");
  }
  Entry entry;
  entry.name = name;
  if (!value["dtype"].is_string()) {
    return fault("dtype is not a string");
  }
  const std::string dtype = value["dtype"].get<std::string>();
  const std::optional<torch::ScalarType> type = DtypeFromName(dtype);
  if (!type) {
    return fault(absl::StrCat("unknown dtype \"", dtype, "\""));
  }
  entry.type = *type;
  const json& shape = value["shape"];
  const json& offsets = value["data_offsets"];
  if (!shape.is_array() || shape.size() > kMaxDimensions ||
      !std::all_of(shape.begin(), shape.end(), IsUnsigned)) {
    return fault("shape is not a list of at most 16 non-negative whole numbers");
  }
  if (!offsets.is_array() || offsets.size() != 2 ||
      !std::all_of(offsets.begin(), offsets.end(), IsUnsigned)) {
    return fault("data_offsets are not two non-negative whole numbers");
  }
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  uint64_t bytes = c10::elementSize(entry.type);
  for (const json& dimension : shape) {
    const uint64_t size = dimension.get<uint64_t>();
    if (size > static_cast<uint64_t>(kMaxFileBytes) ||
        __builtin_mul_overflow(bytes, size, &bytes)) {
      return fault(absl::StrCat("shape has an impossible dimension ", size));
    }
    entry.shape.push_back(static_cast<int64_t>(size));
  }
  if (entry.end < entry.begin || entry.end - entry.begin != bytes) {
    return fault(absl::StrCat("data_offsets [", entry.begin, ", ", entry.end, "] do not span the ",
                              bytes, " bytes of its shape"));
  }
  return entry;
}

absl::Status CheckLayout(std::vector<Entry>* entries, uint64_t data_bytes) {
  std::stable_sort(entries->begin(), entries->end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const Entry& entry : *entries) {
    if (entry.begin != position) {
      return absl::DataLossError(absl::StrCat(
          "tensor \"", entry.name, "\" begins at byte ", entry.begin, " of the data, expected ",
          position, entry.begin < position ? " (overlap)" : " (hole)"));
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    return absl::DataLossError(absl::StrCat("tensors need ", position, " bytes of data, the file has ",
                                            data_bytes,
                                            position > data_bytes ? " (truncated)" : " (trailing)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SafeTensors> Parse(std::string_view bytes) {
  if (bytes.size() < kLengthBytes) {
    return absl::DataLossError(absl::StrCat("only ", bytes.size(), " bytes long"));
  }
  const uint64_t header_bytes = LittleEndian64(bytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - kLengthBytes) {
    return absl::DataLossError(absl::StrCat("header claims ", header_bytes, " bytes; the file has ",
                                            bytes.size() - kLengthBytes, ", the format allows ",
                                            kMaxHeaderBytes));
  }
  STYLEX_ASSIGN_OR_RETURN(const json header, ParseHeader(bytes.substr(kLengthBytes, header_bytes)));
  SafeTensors content;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      if (!value.is_object()) {
        return absl::DataLossError("__metadata__ is not an object");
      }
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) {
          return absl::DataLossError(absl::StrCat("__metadata__.", key, " is not a string"));
        }
        content.metadata[key] = text.get<std::string>();
      }
      continue;
    }
    STYLEX_ASSIGN_OR_RETURN(Entry entry, ParseEntry(name, value));
    entries.push_back(std::move(entry));
  }
  const std::string_view data = bytes.substr(kLengthBytes + header_bytes);
  STYLEX_RETURN_IF_ERROR(CheckLayout(&entries, data.size()));
  for (const Entry& entry : entries) {
    torch::Tensor tensor = torch::empty(entry.shape, entry.type);
    if (entry.end > entry.begin) {
      std::memcpy(tensor.data_ptr(), data.data() + entry.begin, entry.end - entry.begin);
    }
    content.tensors[entry.name] = std::move(tensor);
  }
  return content;
}

}  // namespace

absl::StatusOr<SafeTensors> ParseSafeTensors(std::string_view bytes, const std::string& origin) {
  absl::StatusOr<SafeTensors> content = Parse(bytes);
  if (!content.ok()) {
    return absl::Status(content.status().code(),
                        absl::StrCat(origin, ": not a valid safetensors file: ",
                                     content.status().message()));
  }
  return content;
}

absl::StatusOr<SafeTensors> ReadSafeTensors(const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  return ParseSafeTensors(bytes, path);
}

absl::StatusOr<std::string> SerializeSafeTensors(const SafeTensors& content) {
  json header = json::object();
  if (!content.metadata.empty()) {
    header[kMetadata] = content.metadata;
  }
  uint64_t position = 0;
  std::vector<torch::Tensor> data;
  for (const auto& [name, tensor] : content.tensors) {
    const std::optional<std::string> dtype = NameOfDtype(tensor.scalar_type());
    if (!dtype || name == kMetadata) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", name, "\" cannot be stored as safetensors"));
    }
    data.push_back(tensor.detach().to(torch::kCPU).contiguous());
    const uint64_t end = position + data.back().nbytes();
    header[name] = {{"dtype", *dtype},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  std::string bytes;
  bytes.reserve(kLengthBytes + text.size() + position);
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  }
  bytes += text;
  for (const torch::Tensor& tensor : data) {
    bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  }
  return bytes;
}

absl::Status WriteSafeTensors(const SafeTensors& content, const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string bytes, SerializeSafeTensors(content));
  return WriteFileAtomic(path, bytes);
}

}  // namespace stylex
