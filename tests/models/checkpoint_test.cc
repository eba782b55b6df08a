#include "models/checkpoint.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <torch/script.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include <functional>
#include <limits>

#include "models/checkpoint/json_message.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/version_directory.h"
#include "tests/models/checkpoint/test_files.h"
#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

CheckpointToWrite TinyCheckpoint() {
  torch::manual_seed(5);
  CheckpointToWrite checkpoint;
  checkpoint.config = ValidConfig();
  checkpoint.networks = Networks::Make(checkpoint.config);
  checkpoint.classifier = MobileNetV2(1, 2, 0.1);
  checkpoint.model_card = "# Tiny\n";
  return checkpoint;
}

v1::AttributeIndex TinyIndex(const CheckpointToWrite& checkpoint) {
  v1::AttributeIndex index;
  index.set_schema_version(1);
  for (int64_t i = 0; i < checkpoint.networks.generator.ptr()->layout().num_conv(); ++i) {
    v1::StyleRange& range = *index.add_styles();
    range.set_min(-1.5F);
    range.set_max(static_cast<float>(i));
  }
  v1::ClassAttributes& entry = *index.add_classes();
  entry.set_class_id(1);
  v1::Attribute& attribute = *entry.add_attributes();
  attribute.set_index(3);
  attribute.set_direction(v1::DIRECTION_TO_MIN);
  attribute.set_mean_effect(0.5);
  return index;
}

std::string Written(const TemporaryFolder& root, const CheckpointToWrite& checkpoint) {
  return WriteCheckpoint(checkpoint, root.path(), "tiny", 0, false).value();
}

void ExpectRefused(const absl::Status& status, const std::string& file, const std::string& fault) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(file));
  EXPECT_THAT(std::string(status.message()), HasSubstr(fault));
}

TEST(CheckpointTest, EveryWeightComesBack) {
  const TemporaryFolder root;
  CheckpointToWrite checkpoint = TinyCheckpoint();
  checkpoint.attributes = TinyIndex(checkpoint);
  const std::string version = Written(root, checkpoint);
  const absl::StatusOr<Checkpoint> loaded = LoadCheckpoint(version);
  ASSERT_TRUE(loaded.ok()) << loaded.status();

  const auto expected = checkpoint.networks.NamedTensors();
  const auto got = loaded->model.networks().NamedTensors();
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(torch::equal(got.at(name), tensor)) << name;
    EXPECT_FALSE(got.at(name).requires_grad()) << name;
  }
  torch::NoGradGuard no_grad;
  checkpoint.classifier->eval();
  const torch::Tensor images = torch::rand({3, 1, 16, 16}) * 2 - 1;
  EXPECT_TRUE(torch::equal(loaded->model.Logits(images),
                           MakeMobileNetClassifier(checkpoint.classifier, 1)->Logits(images)));
  ASSERT_TRUE(loaded->attributes.has_value());
  EXPECT_TRUE(MessageDifferencer::Equals(*loaded->attributes, *checkpoint.attributes));
  EXPECT_EQ(GetFile(version + "/README.md"), "# Tiny\n");
}

// Versions written before listed some coordinates that raise no class.
TEST(CheckpointTest, AttributesThatRaiseNoClassAreNone) {
  const TemporaryFolder root;
  CheckpointToWrite checkpoint = TinyCheckpoint();
  checkpoint.attributes = TinyIndex(checkpoint);
  auto& attributes = *checkpoint.attributes->mutable_classes(0)->mutable_attributes();
  const double effects[] = {-0.25, 0.5, 0, std::numeric_limits<double>::quiet_NaN(), 1e-9, -3};
  const v1::Attribute attribute = attributes[0];
  attributes.Clear();
  for (const double effect : effects) {
    *attributes.Add() = attribute;
    attributes.rbegin()->set_index(attributes.size());
    attributes.rbegin()->set_mean_effect(effect);
  }
  const absl::StatusOr<Checkpoint> loaded = LoadCheckpoint(Written(root, checkpoint));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::vector<int> kept;
  for (const v1::Attribute& of_class : loaded->attributes->classes(0).attributes()) {
    kept.push_back(of_class.index());
  }
  EXPECT_THAT(kept, testing::ElementsAre(2, 5));
}

TEST(CheckpointTest, WithoutAnIndexThereIsNone) {
  const TemporaryFolder root;
  const absl::StatusOr<Checkpoint> loaded = LoadCheckpoint(Written(root, TinyCheckpoint()));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE(loaded->attributes.has_value());
}

TEST(CheckpointTest, AUsersTorchScriptClassifierTravelsAlong) {
  const TemporaryFolder root;
  torch::jit::Module module("Classifier");
  module.define(R"(
    def forward(self, images):
      mean = images.mean([1, 2, 3])
      return torch.stack([mean, -2 * mean], 1)
  )");
  module.save(root / "mine.pt");
  CheckpointToWrite checkpoint = TinyCheckpoint();
  checkpoint.config.mutable_classifier()->set_architecture("torchscript");
  checkpoint.torchscript_classifier = root / "mine.pt";
  const std::string version = Written(root, checkpoint);
  EXPECT_EQ(GetFile(version + "/classifier.pt"), GetFile(root / "mine.pt"));
  const absl::StatusOr<Checkpoint> loaded = LoadCheckpoint(version);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(torch::allclose(loaded->model.Logits(torch::full({1, 1, 16, 16}, 0.5)),
                              torch::tensor({{0.5, -1.0}})));
  const SafeTensors stored = ReadSafeTensors(version + "/weights.safetensors").value();
  for (const auto& [name, tensor] : stored.tensors) {
    EXPECT_FALSE(name.starts_with("classifier.")) << name;
  }
}

struct WeightFault {
  const char* message;
  std::function<void(std::map<std::string, torch::Tensor>*)> make;
};

TEST(CheckpointTest, WeightsThatDoNotFitAreNamed) {
  using Tensors = std::map<std::string, torch::Tensor>*;
  const TemporaryFolder root;
  const std::string version = Written(root, TinyCheckpoint());
  const std::string path = version + "/weights.safetensors";
  const SafeTensors good = ReadSafeTensors(path).value();
  std::string name;
  for (const auto& [key, tensor] : good.tensors) {
    if (key.starts_with("encoder.") && tensor.is_floating_point() && tensor.dim() > 1) {
      name = key;
    }
  }
  ASSERT_FALSE(name.empty());
  const std::vector<WeightFault> faults = {
      {"has no tensor", [&](Tensors t) { t->erase(name); }},
      {"belongs to no network", [&](Tensors t) { (*t)[name + "x"] = torch::zeros({1}); }},
      {"has shape", [&](Tensors t) { (*t)[name] = t->at(name).flatten(); }},
      {"of type Long", [&](Tensors t) { (*t)[name] = t->at(name).to(torch::kInt64); }},
      {"not finite",
       [&](Tensors t) {
         (*t)[name] = t->at(name).clone();
         (*t)[name].view(-1)[0] = std::numeric_limits<float>::quiet_NaN();
       }},
      {"not finite",
       [&](Tensors t) { (*t)[name] = torch::full_like(t->at(name), 1e300, torch::kFloat64); }},
  };
  for (const WeightFault& fault : faults) {
    SafeTensors content = good;
    fault.make(&content.tensors);
    ASSERT_TRUE(UpdateVersion(version, ValidConfig(),
                              {{kWeightsFile, SerializeSafeTensors(content).value()}})
                    .ok());
    const absl::Status status = LoadCheckpoint(version).status();
    ExpectRefused(status, path, fault.message);
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

// What is loaded is what was hashed: no file is read a second time.
TEST(CheckpointTest, EachFileIsReadOnce) {
  const TemporaryFolder root;
  const std::string version = Written(root, TinyCheckpoint());
  const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  ASSERT_GE(inotify_add_watch(watch, version.c_str(), IN_OPEN), 0);
  ASSERT_TRUE(LoadCheckpoint(version).ok());
  std::map<std::string, int> opened;
  alignas(inotify_event) char events[1 << 14];
  const ssize_t size = read(watch, events, sizeof(events));
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events + at);
    if (event->len > 0) {
      ++opened[event->name];
    }
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  close(watch);
  EXPECT_EQ(opened["weights.safetensors"], 1);
  EXPECT_LE(opened["attributes.json"], 1);
  EXPECT_LE(opened["classifier.pt"], 1);
}

TEST(CheckpointTest, WeightsOfAnotherFloatingTypeAreConverted) {
  const TemporaryFolder root;
  const std::string version = Written(root, TinyCheckpoint());
  SafeTensors content = ReadSafeTensors(version + "/weights.safetensors").value();
  for (auto& [name, tensor] : content.tensors) {
    if (tensor.is_floating_point()) {
      tensor = tensor.to(torch::kBFloat16);
    }
  }
  ASSERT_TRUE(
      UpdateVersion(version, ValidConfig(), {{kWeightsFile, SerializeSafeTensors(content).value()}})
          .ok());
  const absl::StatusOr<Checkpoint> loaded = LoadCheckpoint(version);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  for (const auto& [name, tensor] : loaded->model.networks().NamedTensors()) {
    EXPECT_TRUE(torch::equal(tensor, content.tensors.at(name).to(tensor.scalar_type()))) << name;
  }
}

TEST(CheckpointTest, AnIndexThatDoesNotFitIsNamed) {
  using Index = v1::AttributeIndex*;
  const std::vector<std::pair<const char*, std::function<void(Index)>>> faults = {
      {"schemaVersion is 2", [](Index i) { i->set_schema_version(2); }},
      {"style coordinates", [](Index i) { i->add_styles(); }},
      {"ranges from 2 to 1",
       [](Index i) {
         i->mutable_styles(4)->set_min(2);
         i->mutable_styles(4)->set_max(1);
       }},
      {"style coordinate 4 ranges from",
       [](Index i) { i->mutable_styles(4)->set_max(std::numeric_limits<float>::infinity()); }},
      {"names class 2", [](Index i) { i->mutable_classes(0)->set_class_id(2); }},
      {"names class -1", [](Index i) { i->mutable_classes(0)->set_class_id(-1); }},
      {"names style coordinate -1",
       [](Index i) { i->mutable_classes(0)->mutable_attributes(0)->set_index(-1); }},
      {"names style coordinate 100000",
       [](Index i) { i->mutable_classes(0)->mutable_attributes(0)->set_index(100000); }},
  };
  const TemporaryFolder root;
  const CheckpointToWrite checkpoint = TinyCheckpoint();
  const std::string version = Written(root, checkpoint);
  for (const auto& [message, make] : faults) {
    v1::AttributeIndex index = TinyIndex(checkpoint);
    make(&index);
    ASSERT_TRUE(
        UpdateVersion(version, ValidConfig(), {{kAttributesFile, ToJson(index).value()}}).ok());
    ExpectRefused(LoadCheckpoint(version).status(), version + "/attributes.json", message);
  }
}

// Truth about the first attribute of the only class of TinyIndex.
v1::KnownTruth TruthOf(const v1::AttributeIndex& index) {
  v1::KnownTruth truth;
  truth.set_schema_version(1);
  truth.add_factors()->set_name("hair");
  v1::ClassTruth* of_class = truth.add_classes();
  of_class->set_class_id(index.classes(0).class_id());
  of_class->add_factors()->set_effect(2);
  v1::AttributeTruth* attribute = of_class->add_attributes();
  attribute->set_index(index.classes(0).attributes(0).index());
  attribute->set_direction(index.classes(0).attributes(0).direction());
  attribute->set_factor("hair");
  return truth;
}

TEST(CheckpointTest, TruthIsReadIfItIsOfTheIndex) {
  const TemporaryFolder root;
  const CheckpointToWrite checkpoint = TinyCheckpoint();
  const std::string version = Written(root, checkpoint);
  v1::AttributeIndex index = TinyIndex(checkpoint);
  const std::string truth = ToJson(TruthOf(index)).value();
  ASSERT_TRUE(UpdateVersion(version, ValidConfig(),
                            {{kAttributesFile, ToJson(index).value()}, {kTruthFile, truth}})
                  .ok());
  absl::StatusOr<Checkpoint> loaded = LoadCheckpoint(version);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(loaded->truth.has_value());
  EXPECT_EQ(loaded->truth->classes(0).attributes(0).factor(), "hair");
  // Another index: what is known of the old attributes says nothing.
  v1::Attribute* first = index.mutable_classes(0)->mutable_attributes(0);
  first->set_index(first->index() + 1);
  ASSERT_TRUE(
      UpdateVersion(version, ValidConfig(), {{kAttributesFile, ToJson(index).value()}}).ok());
  loaded = LoadCheckpoint(version);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE(loaded->truth.has_value());
}

TEST(CheckpointTest, TruthThatDoesNotFitIsNamed) {
  using Truth = v1::KnownTruth*;
  const std::vector<std::pair<const char*, std::function<void(Truth)>>> faults = {
      {"schemaVersion is 2", [](Truth t) { t->set_schema_version(2); }},
      {"names class 2", [](Truth t) { t->mutable_classes(0)->set_class_id(2); }},
      {"has effects of 2 factors, there are 1",
       [](Truth t) { t->mutable_classes(0)->add_factors(); }},
  };
  const TemporaryFolder root;
  const CheckpointToWrite checkpoint = TinyCheckpoint();
  const std::string version = Written(root, checkpoint);
  for (const auto& [message, make] : faults) {
    v1::KnownTruth truth = TruthOf(TinyIndex(checkpoint));
    make(&truth);
    ASSERT_TRUE(UpdateVersion(version, ValidConfig(), {{kTruthFile, ToJson(truth).value()}}).ok());
    ExpectRefused(LoadCheckpoint(version).status(), version + "/truth.json", message);
  }
}

TEST(CheckpointTest, DamageIsFoundBeforeAnythingIsLoaded) {
  const TemporaryFolder root;
  const std::string version = Written(root, TinyCheckpoint());
  const std::string path = version + "/weights.safetensors";
  std::string bytes = GetFile(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  PutFile(path, bytes);
  const absl::Status status = LoadCheckpoint(version).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path + ": SHA-256 is "));
}

}  // namespace
}  // namespace stylex
