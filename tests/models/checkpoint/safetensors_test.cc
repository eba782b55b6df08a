#include "models/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <torch/types.h>

#include <cstdlib>
#include <cstring>
#include <functional>

#include "absl/strings/str_cat.h"
#include "tests/models/checkpoint/test_files.h"

namespace stylex {
namespace {

using testing::HasSubstr;

std::string Length(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(value >> 8 * i & 0xff));
  }
  return bytes;
}

std::string FileOf(const std::string& header, size_t data_bytes) {
  return Length(header.size()) + header + std::string(data_bytes, '\1');
}

// The value at every flat index, as safetensors_reference.py computes it.
torch::Tensor Pattern(torch::ScalarType type, const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    count *= size;
  }
  const torch::Tensor index = torch::arange(count, torch::kInt64);
  const torch::Tensor value = (index * 37 + 11) % 101 - 50;
  torch::Tensor flat;
  switch (type) {
    case torch::kBool:
      flat = index % 3 == 0;
      break;
    case torch::kUInt8:
      flat = value + 50;
      break;
    case torch::kInt64:
      flat = value * (int64_t{1} << 40) + value;
      break;
    case torch::kInt32:
      flat = value * (1 << 20);
      break;
    case torch::kInt16:
      flat = value * (1 << 8);
      break;
    case torch::kInt8:
    case torch::kBFloat16:
      flat = value;
      break;
    default:
      flat = value.to(torch::kFloat64) / 8;
  }
  return flat.to(type).reshape(shape);
}

SafeTensors EveryKind() {
  SafeTensors content;
  content.metadata = {{"format", "pt"}, {"note", "\"quoted\" and \xc3\xa9"}};
  const std::map<std::string, torch::ScalarType> types = {
      {"F64", torch::kFloat64}, {"F32", torch::kFloat32},   {"F16", torch::kFloat16},
      {"I64", torch::kInt64},   {"BF16", torch::kBFloat16}, {"I32", torch::kInt32},
      {"I16", torch::kInt16},   {"I8", torch::kInt8},       {"U8", torch::kUInt8},
      {"BOOL", torch::kBool}};
  for (const auto& [name, type] : types) {
    content.tensors[name + ".scalar"] = Pattern(type, {});
    content.tensors[name + ".empty"] = Pattern(type, {3, 0, 2});
    content.tensors[name + ".odd"] = Pattern(type, {5, 3, 7});
  }
  return content;
}

void ExpectEqual(const SafeTensors& got, const SafeTensors& expected) {
  EXPECT_EQ(got.metadata, expected.metadata);
  EXPECT_EQ(got.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    ASSERT_TRUE(got.tensors.contains(name)) << name;
    const torch::Tensor& other = got.tensors.at(name);
    ASSERT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
    ASSERT_EQ(other.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(torch::equal(other, tensor)) << name;
  }
}

TEST(SafeTensorsTest, EveryTypeAndShapeComesBack) {
  const SafeTensors content = EveryKind();
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteSafeTensors(content, folder / "x.safetensors").ok());
  const absl::StatusOr<SafeTensors> read = ReadSafeTensors(folder / "x.safetensors");
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(*read, content);
}

TEST(SafeTensorsTest, NothingAtAllComesBack) {
  const absl::StatusOr<std::string> bytes = SerializeSafeTensors({});
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, Length(8) + "{}      ");
  ASSERT_TRUE(ParseSafeTensors(*bytes, "x").ok());
}

TEST(SafeTensorsTest, BitsOfSpecialNumbersComeBack) {
  SafeTensors content;
  const uint32_t bits[] = {0x7fc00001, 0xffa00000, 0x80000000, 0x7f800000, 0x00000001};
  torch::Tensor tensor = torch::empty({5}, torch::kFloat32);
  std::memcpy(tensor.data_ptr(), bits, sizeof(bits));
  content.tensors["x"] = tensor;
  const absl::StatusOr<SafeTensors> read =
      ParseSafeTensors(SerializeSafeTensors(content).value(), "x");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(std::memcmp(read->tensors.at("x").data_ptr(), bits, sizeof(bits)), 0);
}

TEST(SafeTensorsTest, ViewsAreWrittenAsTheyRead) {
  const torch::Tensor base = torch::arange(24, torch::kFloat32).reshape({4, 6});
  SafeTensors content;
  content.tensors["transposed"] = base.t();
  content.tensors["strided"] = base.slice(1, 1, 6, 2);
  content.tensors["expanded"] = base.slice(0, 0, 1).expand({3, 6});
  content.tensors["negated"] = torch::_neg_view(base);
  content.tensors["trained"] = base.clone().requires_grad_();
  const absl::StatusOr<SafeTensors> read =
      ParseSafeTensors(SerializeSafeTensors(content).value(), "x");
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(*read, content);
}

TEST(SafeTensorsTest, BytesDependOnTheContentAlone) {
  EXPECT_EQ(SerializeSafeTensors(EveryKind()).value(), SerializeSafeTensors(EveryKind()).value());
}

TEST(SafeTensorsTest, TensorsOwnTheirMemory) {
  SafeTensors content;
  content.tensors["x"] = Pattern(torch::kFloat32, {4});
  std::string bytes = SerializeSafeTensors(content).value();
  const absl::StatusOr<SafeTensors> read = ParseSafeTensors(bytes, "x");
  std::fill(bytes.begin(), bytes.end(), '\xff');
  ExpectEqual(*read, content);
}

TEST(SafeTensorsTest, WhatCannotBeStoredIsNamed) {
  const std::map<std::string, SafeTensors> contents = {
      {"complex", {{{"complex", torch::zeros({2}, torch::kComplexFloat)}}, {}}},
      {"undefined", {{{"undefined", torch::Tensor()}}, {}}},
      {"sparse", {{{"sparse", torch::eye(3).to_sparse()}}, {}}},
      {"__metadata__", {{{"__metadata__", torch::zeros({2})}}, {}}},
      {"UTF-8", {{{"caf\xe9", torch::zeros({2})}}, {}}},
      {"metadata", {{}, {{"key", "caf\xe9"}}}}};
  for (const auto& [fault, content] : contents) {
    const absl::StatusOr<std::string> bytes = SerializeSafeTensors(content);
    EXPECT_EQ(bytes.status().code(), absl::StatusCode::kInvalidArgument) << fault;
    EXPECT_THAT(std::string(bytes.status().message()), HasSubstr(fault));
  }
}

struct Corrupt {
  const char* name;
  std::string bytes;
  const char* message;
};

std::ostream& operator<<(std::ostream& out, const Corrupt& corrupt) { return out << corrupt.name; }

std::string One(const std::string& entry, size_t data_bytes = 8) {
  return FileOf("{\"a\":" + entry + "}", data_bytes);
}

std::string Two(const std::string& first, const std::string& second, size_t data_bytes = 8) {
  return FileOf("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" + first +
                    "},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" + second + "}}",
                data_bytes);
}

std::string WithShape(const std::string& shape, size_t data_bytes = 8) {
  return One(absl::StrCat("{\"dtype\":\"F32\",\"shape\":", shape, ",\"data_offsets\":[0,",
                          data_bytes, "]}"),
             data_bytes);
}

std::string WithOffsets(const std::string& offsets) {
  return One("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + offsets + "}");
}

std::string WithType(const std::string& dtype) {
  return One("{\"dtype\":" + dtype + ",\"shape\":[2],\"data_offsets\":[0,8]}");
}

const std::string kGood = "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Corrupt> CorruptFiles() {
  return {
      {"Empty", "", "only 0 bytes"},
      {"NoLength", "1234567", "only 7 bytes"},
      {"HeaderBeyondFile", Length(3) + "{}", "claims 3 bytes; the file has 2"},
      {"HeaderBeyondLimit", Length(100'000'001) + "{}", "the format allows 100000000"},
      {"HeaderLengthOverflows", Length(~uint64_t{0}) + "{}", "claims 18446744073709551615"},
      {"HeaderLengthOverflowsSum", Length(~uint64_t{0} - 7) + "{}", "claims 18446744073709551608"},
      {"NoHeader", Length(0), "does not begin with {"},
      {"HeaderIsAList", FileOf("[]", 0), "does not begin with {"},
      {"HeaderBeginsWithSpace", FileOf(" {}", 0), "does not begin with {"},
      {"HeaderBeginsWithByteOrderMark", FileOf("\xef\xbb\xbf{}", 0), "does not begin with {"},
      {"HeaderIsCutOff", FileOf("{\"a\":" + kGood, 8), "not a JSON object"},
      {"HeaderGoesOn", FileOf("{\"a\":" + kGood + "}{}", 8), "not a JSON object"},
      {"HeaderHasComment", FileOf("{/* */}", 0), "not a JSON object"},
      {"HeaderIsNotUtf8", FileOf("{\"\xff\":" + kGood + "}", 8), "not a JSON object"},
      {"HeaderIsDeep", FileOf("{\"a\":" + std::string(100'000, '['), 0), "not a JSON object"},
      {"TwoOfAName", FileOf("{\"a\":" + kGood + ",\"a\":" + kGood + "}", 8), "names \"a\" twice"},
      {"TwoOfAnEscapedName", FileOf("{\"a\":" + kGood + ",\"\\u0061\":" + kGood + "}", 8),
       "names \"a\" twice"},
      {"TwoOfTheEmptyName", FileOf("{\"\":" + kGood + ",\"\":" + kGood + "}", 8),
       "names \"\" twice"},
      {"TwoOfAKey", One("{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}"),
       "names \"shape\" twice"},
      {"TwoOfAMetadataKey", FileOf("{\"__metadata__\":{\"k\":\"v\",\"k\":\"v\"}}", 0),
       "names \"k\" twice"},
      {"MetadataIsAList", FileOf("{\"__metadata__\":[]}", 0), "__metadata__ is not an object"},
      {"MetadataIsANumber", FileOf("{\"__metadata__\":{\"k\":1}}", 0),
       "__metadata__.k is not a string"},
      {"EntryIsAList", One("[]"), "tensor \"a\": entry is not"},
      {"EntryLacksType", One("{\"shape\":[2],\"data_offsets\":[0,8]}"), "entry is not"},
      {"EntryLacksShape", One("{\"dtype\":\"F32\",\"data_offsets\":[0,8]}"), "entry is not"},
      {"EntryLacksOffsets", One("{\"dtype\":\"F32\",\"shape\":[2]}"), "entry is not"},
      {"EntryHasMore", One("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}"),
       "entry is not"},
      {"TypeIsANumber", WithType("32"), "dtype is not a string"},
      {"TypeIsUnknown", WithType("\"F8_E4M3\""), "unknown dtype \"F8_E4M3\""},
      {"TypeIsInLowerCase", WithType("\"f32\""), "unknown dtype \"f32\""},
      {"ShapeIsANumber", WithShape("2"), "shape is not a list"},
      {"ShapeIsNegative", WithShape("[-2]"), "shape is not a list"},
      {"ShapeIsNegativeTwice", WithShape("[-2,-1]"), "shape is not a list"},
      {"ShapeIsAFraction", WithShape("[2.0]"), "shape is not a list"},
      {"ShapeIsText", WithShape("[\"2\"]"), "shape is not a list"},
      {"ShapeIsTooDeep", WithShape("[2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "at most 16"},
      {"ShapeIsTooSmall", WithShape("[1]"), "data_offsets [0,8] do not span the 4 bytes"},
      {"ShapeIsTooGreat", WithShape("[3]"), "data_offsets [0,8] do not span the 12 bytes"},
      {"ShapeOverflowsToItsBytes", WithShape("[4611686018427387906]"), "over the limit"},
      {"ShapeOverflowsAsAProduct", WithShape("[4294967296,4294967296]", 0), "over the limit"},
      {"ShapeIsBeyondSigned", WithShape("[9223372036854775808]", 0), "over the limit"},
      {"ShapeIsBeyondUnsigned", WithShape("[18446744073709551616]"), "shape is not a list"},
      {"EmptyShapeOverflows", WithShape("[0,4294967296,4294967296]", 0), "over the limit"},
      {"OffsetsAreANumber", WithOffsets("8"), "data_offsets are not two"},
      {"OffsetsAreOne", WithOffsets("[8]"), "data_offsets are not two"},
      {"OffsetsAreThree", WithOffsets("[0,8,8]"), "data_offsets are not two"},
      {"OffsetsAreNegative", WithOffsets("[-8,0]"), "data_offsets are not two"},
      {"OffsetsAreFractions", WithOffsets("[0.0,8.0]"), "data_offsets are not two"},
      {"OffsetsAreReversed", WithOffsets("[8,0]"), "do not span"},
      {"OffsetsWrapAround", WithOffsets("[18446744073709551608,0]"), "do not span"},
      {"OffsetsAreBeyondTheFile", WithOffsets("[8,16]"), "begins at byte 8"},
      {"Overlap", Two("[0,4]", "[2,6]", 6),
       "tensor \"b\" begins at byte 2 of the data, expected 4"},
      {"SameBytes", Two("[0,4]", "[0,4]", 4), "(overlap)"},
      {"Hole", Two("[0,4]", "[6,10]", 10), "expected 4 (hole)"},
      {"HoleAtTheStart", Two("[1,5]", "[5,9]", 9), "expected 0 (hole)"},
      {"Trailing", Two("[0,4]", "[4,8]", 9), "need 8 bytes of data, the file has 9 (trailing)"},
      {"TrailingWithoutTensors", FileOf("{}", 1), "(trailing)"},
      {"Truncated", Two("[0,4]", "[4,8]", 7), "the file has 7 (truncated)"},
      {"BoolOfTwo", One("{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]}", 0) + "\2",
       "tensor \"a\": BOOL"},
  };
}

class CorruptFileTest : public testing::TestWithParam<Corrupt> {};

TEST_P(CorruptFileTest, IsRefusedWithTheFault) {
  const absl::StatusOr<SafeTensors> read = ParseSafeTensors(GetParam().bytes, "disk/x.safetensors");
  ASSERT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << read.status();
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("disk/x.safetensors"));
  EXPECT_THAT(std::string(read.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Table, CorruptFileTest, testing::ValuesIn(CorruptFiles()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(SafeTensorsTest, TheTableIsWrongOnlyWhereItSays) {
  EXPECT_TRUE(ParseSafeTensors(One(kGood), "x").ok());
  EXPECT_TRUE(ParseSafeTensors(WithOffsets("[0,8]"), "x").ok());
  EXPECT_TRUE(ParseSafeTensors(WithShape("[2]"), "x").ok());
  EXPECT_TRUE(ParseSafeTensors(WithType("\"F32\""), "x").ok());
  EXPECT_TRUE(ParseSafeTensors(Two("[0,4]", "[4,8]"), "x").ok());
  EXPECT_TRUE(ParseSafeTensors(Two("[4,8]", "[0,4]"), "x").ok()) << "data in another order";
}

TEST(SafeTensorsTest, EveryTruncationIsFound) {
  const std::string bytes = SerializeSafeTensors(EveryKind()).value();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const absl::StatusOr<SafeTensors> read =
        ParseSafeTensors(std::string_view(bytes).substr(0, length), "x");
    ASSERT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << length;
  }
}

// A flipped bit in the header either changes a name or type or is refused; it never causes a crash.
TEST(SafeTensorsTest, EveryFlippedBitOfTheHeaderShows) {
  SafeTensors content;
  content.metadata = {{"k", "v"}};
  content.tensors["a"] = Pattern(torch::kFloat32, {2, 3});
  content.tensors["b"] = Pattern(torch::kBool, {3});
  const std::string good = SerializeSafeTensors(content).value();
  const size_t header_end = good.size() - 6 * sizeof(float) - 3;
  int refused = 0;
  for (size_t bit = 0; bit < 8 * header_end; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    const absl::StatusOr<SafeTensors> read = ParseSafeTensors(bytes, "x");
    if (!read.ok()) {
      ++refused;
      continue;
    }
    const bool names = read->metadata == content.metadata && read->tensors.contains("a") &&
                       read->tensors.contains("b") && read->tensors.size() == 2;
    const bool types = names && read->tensors.at("a").scalar_type() == torch::kFloat32 &&
                       read->tensors.at("b").scalar_type() == torch::kBool;
    const bool padding = bit / 8 > good.find_last_of('}', header_end);
    EXPECT_TRUE(!types || padding) << "bit " << bit;
  }
  EXPECT_GT(refused, static_cast<int>(4 * header_end));
}

TEST(SafeTensorsTest, AMissingFileIsNotFound) {
  const TemporaryFolder folder;
  const absl::StatusOr<SafeTensors> read = ReadSafeTensors(folder / "none.safetensors");
  EXPECT_EQ(read.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("none.safetensors"));
}

// The exit code of safetensors_reference.py.
int RunReference(const std::string& arguments) {
  const std::string command = "PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 " STYLEX_SOURCE_DIR
                              "/tests/models/checkpoint/safetensors_reference.py " +
                              arguments;
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr int kPackageMissing = 77;
constexpr int kNoPython = 127;

TEST(SafeTensorsTest, IndependentReadersAgree) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteSafeTensors(EveryKind(), folder / "x.safetensors").ok());
  const int code = RunReference("check " + folder / "x.safetensors");
  if (code == kPackageMissing || code == kNoPython) {
    GTEST_SKIP() << "the reference needs Debian's python3-numpy";
  }
  EXPECT_EQ(code, 0);
}

TEST(SafeTensorsTest, FilesOfIndependentWritersAreRead) {
  const TemporaryFolder folder;
  const int code = RunReference("write " + folder.path());
  if (code == kPackageMissing || code == kNoPython) {
    GTEST_SKIP() << "the reference needs Debian's python3-numpy";
  }
  ASSERT_EQ(code, 0);
  const std::vector<std::string> names = NamesIn(folder.path());
  EXPECT_GE(names.size(), 1u);
  for (const std::string& name : names) {
    const absl::StatusOr<SafeTensors> read = ReadSafeTensors(folder / name);
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectEqual(*read, EveryKind());
  }
}

}  // namespace
}  // namespace stylex
