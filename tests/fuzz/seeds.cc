// Writes the fuzzers' seeds, made by the tests' own code: fuzz_seeds FOLDER.
#include <torch/types.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/safetensors.h"
#include "stylex/v1/attribute_index.pb.h"
#include "stylex/v1/explanation.pb.h"
#include "tests/e2e/odd_images.h"
#include "tests/image/webp_writer.h"
#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

std::vector<std::string> Images() {
  return {PngPicture(9, 7, 1, 90),
          PngPicture(16, 16, 3, 90),
          JpegPicture(16, 20, 1, 90),
          JpegPicture(24, 16, 3, 90),
          CmykJpeg(16, 90),
          RgbPng(8, 90, 16, true),
          RgbPng(8, 90, 8, false),
          PngBomb(),
          WriteWebp(DrawPicture(17, 12, 3, 90), 0),
          WriteWebp(DrawPicture(12, 17, 3, 90), 80)};
}

// Prepends the byte that selects the method.
template <class Request>
std::string Seed(char method, const Request& request) {
  return absl::StrCat(std::string(1, method), request.SerializeAsString());
}

template <class Request>
Request WithImage() {
  Request request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(4, 4, 1, 90));
  return request;
}

std::vector<std::string> Requests() {
  v1::ListModelsRequest list;
  list.set_page_size(3);
  list.set_page_token("x");
  v1::GetModelRequest get;
  get.set_model("tiny/1");
  v1::ReconstructRequest edit;
  edit.mutable_latent()->set_model("tiny/1");
  for (int i = 0; i < 11; ++i) {
    edit.mutable_latent()->add_values(0.5F);
  }
  edit.add_edits()->set_index(3);
  edit.mutable_edits(0)->set_shift(0.5);
  edit.set_local(true);
  edit.mutable_output_format()->set_encoding(v1::OutputFormat::ENCODING_JPEG);
  edit.mutable_output_format()->set_quality(80);
  v1::FindAttributesRequest search;
  search.add_images()->set_data(PngPicture(4, 4, 1, 90));
  search.mutable_target_class()->set_label("dark");
  search.set_strategy(v1::STRATEGY_SUBSET);
  search.set_max_attributes(5);
  auto counterfactual = WithImage<v1::CounterfactualRequest>();
  counterfactual.mutable_target_class()->set_class_id(1);
  counterfactual.add_attributes()->set_index(2);
  counterfactual.set_local(true);
  counterfactual.set_include_on_photograph(true);
  auto traverse = WithImage<v1::TraverseRequest>();
  traverse.mutable_attribute()->set_index(1);
  traverse.set_steps(5);
  traverse.set_local(true);
  return {Seed(0, list),
          Seed(1, get),
          Seed(2, WithImage<v1::ClassifyRequest>()),
          Seed(3, WithImage<v1::EncodeRequest>()),
          Seed(4, edit),
          Seed(5, search),
          Seed(6, counterfactual),
          Seed(7, traverse)};
}

std::vector<std::string> CheckpointFiles() {
  SafeTensors content;
  content.tensors["a"] = torch::ones({2, 3});
  content.tensors["b"] = torch::ones({2}, torch::kBool);
  content.tensors["c"] = torch::ones({}, torch::kInt64);
  content.metadata["format"] = "pt";
  v1::AttributeIndex index;
  index.set_schema_version(1);
  index.add_styles()->set_max(1);
  index.add_classes()->add_attributes()->set_index(0);
  return {absl::StrCat(std::string(1, 0), SerializeSafeTensors(content).value()),
          absl::StrCat("\1", ToJson(ValidConfig()).value()),
          absl::StrCat("\2", ToJson(index).value())};
}

bool Write(const std::string& folder, const std::vector<std::string>& seeds) {
  std::filesystem::create_directories(folder);
  for (size_t i = 0; i < seeds.size(); ++i) {
    if (!WriteFileAtomic(absl::StrCat(folder, "/seed", i), seeds[i]).ok()) {
      std::fprintf(stderr, "cannot write into %s\n", folder.c_str());
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  const bool written = stylex::Write(folder + "/image", stylex::Images()) &&
                       stylex::Write(folder + "/request", stylex::Requests()) &&
                       stylex::Write(folder + "/checkpoint", stylex::CheckpointFiles());
  return written ? 0 : 1;
}
