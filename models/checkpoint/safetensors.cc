#include "models/checkpoint/safetensors.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are copied as they lie on disk");

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
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

// Refuses duplicate keys, of which nlohmann would keep the last, and a byte order mark, which it
// would skip and the format forbids.
absl::StatusOr<Json> ParseHeader(std::string_view header) {
  if (!header.starts_with('{')) {
    return absl::DataLossError("header does not begin with {");
  }
  std::vector<std::set<std::string>> keys;
  std::optional<std::string> duplicate;
  const Json parsed = Json::parse(
      header,
      [&](int, Json::parse_event_t event, Json& value) {
        if (event == Json::parse_event_t::object_start) {
          keys.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
          keys.pop_back();
        } else if (event == Json::parse_event_t::key &&
                   !keys.back().insert(value.get<std::string>()).second) {
          duplicate = value.get<std::string>();
        }
        return true;
      },
      /*allow_exceptions=*/false);
  if (duplicate) {
    return absl::DataLossError(absl::StrCat("header names \"", *duplicate, "\" twice"));
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

bool IsUnsigned(const Json& value) { return value.is_number_unsigned(); }

// Size of `shape` in bytes; none if it, or the strides of an empty tensor, overflow.
std::optional<uint64_t> NumBytes(const std::vector<int64_t>& shape, torch::ScalarType type) {
  uint64_t span = c10::elementSize(type);
  bool empty = false;
  for (const int64_t size : shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(span, static_cast<uint64_t>(std::max<int64_t>(size, 1)), &span) ||
        span > static_cast<uint64_t>(kMaxFileBytes)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : span;
}

absl::StatusOr<Entry> ParseEntry(const std::string& name, const Json& value) {
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
  const Json& shape = value["shape"];
  const Json& offsets = value["data_offsets"];
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
  for (const Json& dimension : shape) {
    // A size beyond int64 is beyond the limit too.
    entry.shape.push_back(static_cast<int64_t>(
        std::min<uint64_t>(dimension.get<uint64_t>(), std::numeric_limits<int64_t>::max())));
  }
  const std::optional<uint64_t> bytes = NumBytes(entry.shape, entry.type);
  if (!bytes) {
    return fault(
        absl::StrCat("shape ", shape.dump(), " is over the limit of ", kMaxFileBytes, " bytes"));
  }
  if (entry.end < entry.begin || entry.end - entry.begin != *bytes) {
    return fault(absl::StrCat("data_offsets ", offsets.dump(), " do not span the ", *bytes,
                              " bytes of shape ", shape.dump()));
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
      return absl::DataLossError(absl::StrCat("tensor \"", entry.name, "\" begins at byte ",
                                              entry.begin, " of the data, expected ", position,
                                              entry.begin < position ? " (overlap)" : " (hole)"));
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    return absl::DataLossError(
        absl::StrCat("tensors need ", position, " bytes of data, the file has ", data_bytes,
                     position > data_bytes ? " (truncated)" : " (trailing)"));
  }
  return absl::OkStatus();
}

absl::Status ParseMetadata(const Json& value, std::map<std::string, std::string>* metadata) {
  if (!value.is_object()) {
    return absl::DataLossError("__metadata__ is not an object");
  }
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      return absl::DataLossError(absl::StrCat("__metadata__.", key, " is not a string"));
    }
    (*metadata)[key] = text.get<std::string>();
  }
  return absl::OkStatus();
}

absl::StatusOr<torch::Tensor> CopyTensor(const Entry& entry, std::string_view data) {
  const std::string_view bytes = data.substr(entry.begin, entry.end - entry.begin);
  // A C++ bool that is neither 0 nor 1 is undefined behaviour.
  if (entry.type == torch::kBool &&
      !std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0 || byte == 1; })) {
    return absl::DataLossError(
        absl::StrCat("tensor \"", entry.name, "\": BOOL with a byte that is neither 0 nor 1"));
  }
  torch::Tensor tensor = torch::empty(entry.shape, entry.type);
  if (!bytes.empty()) {
    std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  }
  return tensor;
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
  STYLEX_ASSIGN_OR_RETURN(const Json header, ParseHeader(bytes.substr(kLengthBytes, header_bytes)));
  SafeTensors content;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      STYLEX_RETURN_IF_ERROR(ParseMetadata(value, &content.metadata));
      continue;
    }
    STYLEX_ASSIGN_OR_RETURN(Entry entry, ParseEntry(name, value));
    entries.push_back(std::move(entry));
  }
  const std::string_view data = bytes.substr(kLengthBytes + header_bytes);
  STYLEX_RETURN_IF_ERROR(CheckLayout(&entries, data.size()));
  for (const Entry& entry : entries) {
    STYLEX_ASSIGN_OR_RETURN(content.tensors[entry.name], CopyTensor(entry, data));
  }
  return content;
}

absl::StatusOr<std::string> HeaderText(const Json& header) {
  try {
    std::string text = header.dump();
    text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
    return text;
  } catch (const Json::type_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("a name or metadata is not UTF-8: ", error.what()));
  }
}

}  // namespace

absl::StatusOr<SafeTensors> ParseSafeTensors(std::string_view bytes, const std::string& origin) {
  absl::StatusOr<SafeTensors> content = Parse(bytes);
  if (!content.ok()) {
    return absl::Status(
        content.status().code(),
        absl::StrCat(origin, ": not a valid safetensors file: ", content.status().message()));
  }
  return content;
}

absl::StatusOr<SafeTensors> ReadSafeTensors(const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  return ParseSafeTensors(bytes, path);
}

std::string ShapeText(const torch::Tensor& tensor) {
  return absl::StrCat("[", absl::StrJoin(tensor.sizes(), ", "), "]");
}

absl::Status CopyTensors(const SafeTensors& stored, const std::string& path,
                         const std::string& owner,
                         const std::map<std::string, torch::Tensor>& into) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : into) {
    const auto found = stored.tensors.find(name);
    if (found == stored.tensors.end()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": has no tensor ", name, " of shape ",
                                                     ShapeText(tensor), ", which ", owner,
                                                     " needs"));
    }
    if (found->second.sizes() != tensor.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": tensor ", name, " has shape ",
                                                     ShapeText(found->second), ", expected ",
                                                     ShapeText(tensor)));
    }
    if (found->second.is_floating_point() != tensor.is_floating_point()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor ", name, " has values of type ",
                       c10::toString(found->second.scalar_type()), ", expected ",
                       c10::toString(tensor.scalar_type())));
    }
    torch::Tensor target = tensor;
    target.copy_(found->second);
    // Checked after the conversion: a finite float64 may be too large for float32.
    if (!target.isfinite().all().item<bool>()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor ", name, " has values that are not finite numbers"));
    }
  }
  for (const auto& [name, tensor] : stored.tensors) {
    if (!into.contains(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor ", name, " belongs to no network of ", owner));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SerializeSafeTensors(const SafeTensors& content) {
  std::vector<std::pair<std::string, torch::Tensor>> data;
  for (const auto& [name, tensor] : content.tensors) {
    if (name == kMetadata || tensor.layout() != torch::kStrided ||
        !NameOfDtype(tensor.scalar_type())) {
      return absl::InvalidArgumentError(absl::StrCat("tensor \"", name, "\" of type ",
                                                     c10::toString(tensor.scalar_type()),
                                                     " cannot be stored as safetensors"));
    }
    data.emplace_back(name, tensor.detach().to(torch::kCPU).resolve_neg().contiguous());
  }
  // Wide types first: with the header's padding, every tensor is then aligned to its element size,
  // as readers that map the file need.
  std::stable_sort(data.begin(), data.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  Json header = Json::object();
  if (!content.metadata.empty()) {
    header[kMetadata] = content.metadata;
  }
  uint64_t position = 0;
  for (const auto& [name, tensor] : data) {
    const uint64_t end = position + tensor.nbytes();
    header[name] = {{"dtype", *NameOfDtype(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {position, end}}};
    position = end;
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string text, HeaderText(header));
  std::string bytes;
  bytes.reserve(kLengthBytes + text.size() + position);
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  }
  bytes += text;
  for (const auto& [name, tensor] : data) {
    bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  }
  return bytes;
}

absl::Status WriteSafeTensors(const SafeTensors& content, const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string bytes, SerializeSafeTensors(content));
  return WriteFileAtomic(path, bytes);
}

}  // namespace stylex
