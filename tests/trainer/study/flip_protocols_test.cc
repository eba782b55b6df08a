// Compares both protocols with direct implementations of their definitions, image by image, on
// random networks.
#include "trainer/study/flip_protocols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "explain/effects.h"
#include "explain/exemplar_baseline.h"
#include "explain/selection.h"
#include "models/pixels.h"
#include "models/rendering.h"
#include "tests/explain/tiny_model.h"
#include "tests/temporary_folder.h"
#include "tests/trainer/data/silent_progress.h"
#include "trainer/data/encoded_images.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kTrain = 60, kValidation = 40;

class NoisePictures : public Dataset {
 public:
  NoisePictures() : Dataset({.resolution = kTinyResolution, .channels = 1}) {
    torch::manual_seed(12);
    pixels_ = torch::randint(256, {kTrain + kValidation, kTinyResolution * kTinyResolution},
                             torch::kUInt8);
  }
  int64_t size(Split split) const override { return split == Split::kTrain ? kTrain : kValidation; }
  int64_t label(Split, int64_t index) const override { return index % 2; }
  std::string name(Split, int64_t index) const override { return absl::StrCat("image", index); }
  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    Bitmap bitmap = Bitmap::Make(kTinyResolution, kTinyResolution, 1);
    const torch::Tensor row = pixels_[split == Split::kTrain ? index : kTrain + index];
    std::copy_n(row.data_ptr<uint8_t>(), bitmap.data.size(), bitmap.data.begin());
    return bitmap;
  }

 private:
  torch::Tensor pixels_;
};

class UpsideDown : public Classifier {
 public:
  explicit UpsideDown(const Stylex& model) : model_(model) {}
  torch::Tensor Logits(const torch::Tensor& images) const override {
    return model_.Logits(images.flip(2));
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return 0; }

 private:
  const Stylex& model_;
};

// An untrained classifier gives nearly the same logits for all images; this one subtracts the usual
// logits and amplifies the rest.
class Undecided : public Classifier {
 public:
  // The first `classes` of inner's, minus what it usually says.
  Undecided(std::shared_ptr<const Classifier> inner, torch::Tensor usual, int64_t classes)
      : inner_(std::move(inner)), usual_(std::move(usual)), classes_(classes) {}
  torch::Tensor Logits(const torch::Tensor& images) const override {
    return 20 * (inner_->Logits(images) - usual_).narrow(1, 0, classes_);
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return inner_->NumParameters(); }

 private:
  std::shared_ptr<const Classifier> inner_;
  torch::Tensor usual_;
  int64_t classes_;
};

void AddAttribute(int coordinate, v1::Direction direction, double effect,
                  v1::ClassAttributes* of_class) {
  v1::Attribute* attribute = of_class->add_attributes();
  attribute->set_index(coordinate);
  attribute->set_direction(direction);
  attribute->set_mean_effect(effect);
}

TEST(ListsTest, JoinsBothClassesAsTheStudyDoes) {
  v1::AttributeIndex index;
  v1::ClassAttributes* second = index.add_classes();
  second->set_class_id(1);
  AddAttribute(5, v1::DIRECTION_TO_MIN, 9, second);  // already in the other list
  AddAttribute(8, v1::DIRECTION_TO_MIN, 2, second);
  v1::ClassAttributes* first = index.add_classes();
  first->set_class_id(0);
  AddAttribute(5, v1::DIRECTION_TO_MIN, 3, first);
  AddAttribute(2, v1::DIRECTION_TO_MAX, 1, first);
  const ClassLists lists = JoinedLists(index);
  ASSERT_EQ(lists.size(), 2);
  EXPECT_THAT(lists[0], ElementsAre(Coordinate{5, 0}, Coordinate{8, 1}, Coordinate{2, 1}));
  EXPECT_THAT(lists[1], ElementsAre(Coordinate{5, 1}, Coordinate{8, 0}, Coordinate{2, 0}));
  const ClassLists own = IndexLists(index, 3);
  EXPECT_THAT(own[0], ElementsAre(Coordinate{5, 0}, Coordinate{2, 1}));
  EXPECT_THAT(own[1], ElementsAre(Coordinate{5, 0}, Coordinate{8, 0}));
  EXPECT_THAT(own[2], IsEmpty());
}

class ProtocolsTest : public testing::Test {
 protected:
  ProtocolsTest() : tiny_(MakeTinyModel(9)) {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : tiny_.stylex.networks().NamedTensors()) {
      if (name.find("to_rgb") != std::string::npos && tensor.dim() == 4) {
        torch::Tensor(tensor).mul_(0.7);  // some pixels are clamped, not most
      }
    }
    Explain(kTinyClasses);
  }

  // A classifier with this many classes, and attributes that flip its decisions.
  void Explain(int64_t classes) {
    torch::NoGradGuard no_grad;
    v1::ModelConfig config = tiny_.stylex.config();
    config.mutable_labels()->DeleteSubrange(static_cast<int>(classes),
                                            config.labels_size() - static_cast<int>(classes));
    const StyleVectors styles = TrainingStyles().Narrow(0, 12);
    const torch::Tensor usual = tiny_.classifier->Logits(tiny_.stylex.Synthesize(styles)).mean(0);
    tiny_.stylex = Stylex(config, tiny_.stylex.networks(),
                          std::make_shared<Undecided>(tiny_.classifier, usual, classes));
    const StyleEffects effects = ComputeEffects(tiny_.stylex, styles, tiny_.ranges, {}).value();
    v1::AttributeIndex index;
    RangesToIndex(tiny_.ranges, &index);
    for (int k = 0; k < classes; ++k) {
      v1::ClassAttributes* of_class = index.add_classes();
      of_class->set_class_id(k);
      for (const SelectedAttribute& found :
           SelectAttributes(effects, k, {.max_attributes = 12, .explained_at = 0})) {
        AddAttribute(static_cast<int>(found.coordinate.index), ToProto(found.coordinate.direction),
                     found.mean_effect, of_class);
      }
    }
    checkpoint_.emplace(Checkpoint{tiny_.stylex, index});
  }

  StyleVectors TrainingStyles() const {
    std::vector<Bitmap> training;
    for (int64_t n = 0; n < kTrain; ++n) {
      training.push_back(pictures_.Load(Split::kTrain, n).value());
    }
    return tiny_.stylex.StylesOfImages(BitmapsToTensor(training));
  }

  // Table 2's flips of all training images in one repeat, read literally, without noise.
  int64_t LiteralFlips(const ClassLists& lists) const {
    torch::NoGradGuard no_grad;
    const Stylex& model = tiny_.stylex;
    const StyleVectors styles = TrainingStyles();
    StyleRangeAccumulator extremes;
    extremes.Add(styles.conv);
    const StyleRanges ranges = extremes.Finish();
    Generator generator = model.networks().generator;
    const torch::Tensor base = model.Logits(generator->synthesize(styles, Noise::kFixed));
    int64_t flips = 0;
    for (int64_t n = 0; n < kTrain; ++n) {
      const torch::Tensor order = base[n].argsort(0, true);
      std::vector<Move> moves;
      for (const Coordinate& coordinate : lists[static_cast<size_t>(order[1].item<int64_t>())]) {
        if (moves.size() < kMovedAtOnce) {
          moves.push_back({coordinate, 1});
        }
      }
      flips += model.LogitsOfStyles(ApplyMoves(styles.Narrow(n, 1), ranges, moves))
                   .argmax()
                   .item<int64_t>() != order[0].item<int64_t>();
    }
    return flips;
  }
  void TurnNoiseOff() {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : tiny_.stylex.networks().NamedTensors()) {
      if (name.ends_with("_noise_strength")) {
        torch::Tensor(tensor).zero_();
      }
    }
    tiny_.stylex.To(torch::kCPU);  // forgets the weights that synthesis prepared
    checkpoint_->model.To(torch::kCPU);
  }
  SilentProgress* progress() { return &progress_; }

  NoisePictures pictures_;
  TinyModel tiny_;
  SilentProgress progress_;
  std::optional<Checkpoint> checkpoint_;
};

TEST_F(ProtocolsTest, HeldOutCountsFlipsToTheRunnerUp) {
  const Stylex& model = tiny_.stylex;
  // Another classifier of the same classes, which sees every image upside down.
  const auto contrary = std::make_shared<UpsideDown>(model);
  const HeldOutFigures figures = HeldOut(*checkpoint_, pictures_, {{"contrary", contrary}},
                                         {.seed = 3, .images = 0, .population = 0}, progress())
                                     .value();
  ASSERT_EQ(figures.images, kValidation);
  torch::NoGradGuard no_grad;
  std::array<int64_t, kCounts.size()> flips{};
  std::array<int64_t, kCounts.size()> convinced{};
  int64_t reconstruction_flips = 0, agreeing = 0;
  for (int64_t n = 0; n < kValidation; ++n) {
    const torch::Tensor x = BitmapToTensor(pictures_.Load(Split::kValidation, n).value());
    const StyleVectors styles = model.StylesOfImages(x);
    const torch::Tensor drawn = Rendering::Png().Apply(model.Synthesize(styles));
    const torch::Tensor base = model.Logits(drawn)[0];
    reconstruction_flips +=
        base.argmax().item<int64_t>() != model.Logits(x).argmax().item<int64_t>();
    const int64_t runner_up = base.argsort(0, true)[1].item<int64_t>();
    agreeing += contrary->Logits(drawn).argmax().item<int64_t>() == base.argmax().item<int64_t>();
    for (size_t i = 0; i < kCounts.size(); ++i) {
      std::vector<Move> moves;
      const auto& list = checkpoint_->attributes->classes(static_cast<int>(runner_up));
      for (int a = 0; a < kCounts[i] && a < list.attributes_size(); ++a) {
        moves.push_back(
            {{list.attributes(a).index(), DirectionFromProto(list.attributes(a).direction())}, 1});
      }
      const StyleVectors moved = ApplyMoves(styles, tiny_.ranges, moves);
      const torch::Tensor image = Rendering::Png().Apply(model.Synthesize(moved));
      const bool flipped = model.Logits(image).argmax().item<int64_t>() == runner_up;
      flips[i] += flipped;
      convinced[i] += flipped && contrary->Logits(image).argmax().item<int64_t>() == runner_up;
    }
  }
  EXPECT_EQ(figures.flips.at(Method::kAttFind), flips);
  EXPECT_GT(flips[3], 0) << "the test sees no flips at all";
  EXPECT_EQ(figures.reconstruction_flips, reconstruction_flips);
  EXPECT_EQ(figures.oracles.at(0).agreeing, agreeing);
  EXPECT_EQ(figures.oracles.at(0).convinced.at(Method::kAttFind), convinced);
  EXPECT_GT(convinced[3], 0) << "the other classifier is never convinced";
  EXPECT_LT(convinced[3], flips[3]) << "the other classifier is always convinced";
  EXPECT_THAT(figures.flips.at(Method::kNothing), ElementsAre(0, 0, 0, 0));
}

TEST_F(ProtocolsTest, HeldOutCountsWhatASearchOnEachImageFinds) {
  FlipOptions search;
  search.joint_candidates = 8;
  search.beam = 2;
  search.workers = 2;
  const HeldOutFigures figures =
      HeldOut(*checkpoint_, pictures_, {},
              {.seed = 3, .images = 0, .population = 0, .search = search}, progress())
          .value();
  const Stylex& model = tiny_.stylex;
  std::array<int64_t, kCounts.size()> flips{};
  for (int64_t n = 0; n < kValidation; ++n) {
    torch::NoGradGuard no_grad;
    const StyleVectors styles =
        model.StylesOfImages(BitmapToTensor(pictures_.Load(Split::kValidation, n).value()));
    CounterfactualOptions options;
    options.target = model.LogitsOfStyles(styles)[0].argsort(0, true)[1].item<int64_t>();
    options.minimal = false;
    options.shortlist = 8;
    options.beam = 2;
    options.favourites =
        IndexLists(*checkpoint_->attributes, kTinyClasses)[static_cast<size_t>(options.target)];
    const CounterfactualResult found =
        FindCounterfactual(model, styles, tiny_.ranges, AllMoves(tiny_.ranges.size()), options)
            .value();
    for (size_t i = 0; i < kCounts.size(); ++i) {
      flips[i] += found.outcome == CounterfactualOutcome::kFlipped &&
                  found.applied.size() <= static_cast<size_t>(kCounts[i]);
    }
  }
  EXPECT_EQ(figures.flips.at(Method::kJoint), flips);
  EXPECT_GT(flips[3], 0) << "the test sees no flips at all";
}

TEST_F(ProtocolsTest, TheBaselineMovesWhatExemplarsShare) {
  const HeldOutFigures figures =
      HeldOut(*checkpoint_, pictures_, {}, {.seed = 3, .images = 0, .population = 0}, progress())
          .value();
  const Stylex& model = tiny_.stylex;
  torch::NoGradGuard no_grad;
  std::vector<Bitmap> training;
  for (int64_t n = 0; n < kTrain; ++n) {
    training.push_back(pictures_.Load(Split::kTrain, n).value());
  }
  const StyleVectors population = model.StylesOfImages(BitmapsToTensor(training));
  const torch::Tensor logits = model.LogitsOfStyles(population);
  int64_t flips = 0;
  for (int64_t n = 0; n < kValidation; ++n) {
    const StyleVectors styles =
        model.StylesOfImages(BitmapToTensor(pictures_.Load(Split::kValidation, n).value()));
    const int64_t runner_up = model.LogitsOfStyles(styles)[0].argsort(0, true)[1].item<int64_t>();
    std::vector<Move> moves;
    const auto exemplars = ExemplarAttributes(population.conv, logits, runner_up, {});
    if (exemplars.ok()) {
      for (const ExemplarAttribute& attribute : *exemplars) {
        moves.push_back({attribute.coordinate, 1});
      }
    }
    flips +=
        model.LogitsOfStyles(ApplyMoves(styles, tiny_.ranges, moves)).argmax().item<int64_t>() ==
        runner_up;
  }
  EXPECT_EQ(figures.flips.at(Method::kExemplars)[3], flips);
}

TEST_F(ProtocolsTest, Table2RepeatsWithTheSameSeedAndReportsItsSpread) {
  const ProtocolOptions options{.seed = 4, .repeats = 3, .images = 30, .population = 0};
  const auto rates = Table2(*checkpoint_, pictures_, options, progress()).value();
  for (const Method method : kListMethods) {
    const RepeatedRate& rate = rates.at(method);
    ASSERT_EQ(rate.rates.size(), 3);
    const double mean = (rate.rates[0] + rate.rates[1] + rate.rates[2]) / 3;
    EXPECT_DOUBLE_EQ(rate.mean, mean);
    double squares = 0;
    for (const double value : rate.rates) {
      squares += (value - mean) * (value - mean) / 3;
      EXPECT_NEAR(value * 30, std::round(value * 30), 1e-9);
    }
    EXPECT_NEAR(rate.deviation, std::sqrt(squares), 1e-12);
  }
  EXPECT_EQ(Table2(*checkpoint_, pictures_, options, progress()).value().at(Method::kAttFind).rates,
            rates.at(Method::kAttFind).rates);
  ProtocolOptions other = options;
  other.seed = 5;
  EXPECT_NE(Table2(*checkpoint_, pictures_, other, progress()).value().at(Method::kAttFind).rates,
            rates.at(Method::kAttFind).rates);
}

// Without noise the protocol is deterministic and its result known.
TEST_F(ProtocolsTest, Table2AgreesWithItsDefinitionWhereNoiseIsOff) {
  TurnNoiseOff();
  const ProtocolOptions options{.seed = 4, .repeats = 1, .images = kTrain, .population = 0};
  const auto rates = Table2(*checkpoint_, pictures_, options, progress()).value();
  const int64_t flips = LiteralFlips(IndexLists(*checkpoint_->attributes, kTinyClasses));
  const int64_t unmoved = LiteralFlips(ClassLists(kTinyClasses));
  EXPECT_NE(flips, unmoved);
  EXPECT_DOUBLE_EQ(rates.at(Method::kAttFind).mean, static_cast<double>(flips) / kTrain);
  EXPECT_DOUBLE_EQ(rates.at(Method::kNothing).mean, static_cast<double>(unmoved) / kTrain);
}

TEST_F(ProtocolsTest, OfTwoClassesOneListServesBothWays) {
  torch::NoGradGuard no_grad;
  Explain(2);
  TurnNoiseOff();
  const ProtocolOptions options{.seed = 4, .repeats = 1, .images = kTrain, .population = 0};
  const auto rates = Table2(*checkpoint_, pictures_, options, progress()).value();
  const int64_t flips = LiteralFlips(JoinedLists(*checkpoint_->attributes));
  EXPECT_DOUBLE_EQ(rates.at(Method::kAttFind).mean, static_cast<double>(flips) / kTrain);
  std::vector<Coordinate> list;
  const StyleVectors population = TrainingStyles();
  const auto exemplars = ExemplarAttributes(
      population.conv, tiny_.stylex.LogitsOfStyles(population), /*target=*/0, {});
  ASSERT_TRUE(exemplars.ok()) << exemplars.status();
  for (const ExemplarAttribute& attribute : *exemplars) {
    list.push_back(attribute.coordinate);
  }
  EXPECT_DOUBLE_EQ(rates.at(Method::kExemplars).mean,
                   static_cast<double>(LiteralFlips(TurnedRound(list))) / kTrain);
}

// The same generator as a plain StyleGAN2: images drawn from z replace encoded ones.
TEST_F(ProtocolsTest, WithoutAnEncoderImagesAreDrawnFromFreshLatents) {
  torch::NoGradGuard no_grad;
  v1::ModelConfig config = tiny_.stylex.config();
  config.clear_encoder();
  config.mutable_generator()->set_mapping_layers(1);
  Networks networks = tiny_.stylex.networks();
  networks.encoder = nullptr;
  networks.mapping = Mapping(config.generator().latent_size(), 1, 1);
  const Stylex drawing(config, networks, tiny_.classifier);
  const torch::Tensor usual = drawing.LogitsOfStyles(SampleStyles(drawing, 32, 1)).mean(0);
  const Stylex model(config, networks,
                     std::make_shared<Undecided>(tiny_.classifier, usual, kTinyClasses));
  const Checkpoint plain{model, checkpoint_->attributes};
  const EncodedImages images =
      EncodeImages(model, pictures_, Split::kValidation, 0, /*seed=*/3, progress()).value();
  ASSERT_EQ(images.styles.conv.size(0), kValidation);
  EXPECT_TRUE(torch::equal(images.logits, model.LogitsOfStyles(images.styles)));
  EXPECT_TRUE(torch::equal(images.labels, images.logits.argmax(1)));
  EXPECT_GT(images.styles.conv.std(0).min().item<float>(), 0) << "every image another one";
  // Neither the same split's with another seed nor the other split's with the same.
  for (const EncodedImages& other :
       {EncodeImages(model, pictures_, Split::kValidation, 0, 4, progress()).value(),
        EncodeImages(model, pictures_, Split::kTrain, kValidation, 3, progress()).value()}) {
    EXPECT_GT((other.styles.conv - images.styles.conv).abs().amax(1).min().item<float>(), 1e-3);
  }

  const HeldOutFigures figures =
      HeldOut(plain, pictures_, {}, {.seed = 3, .images = 0}, progress()).value();
  EXPECT_EQ(figures.images, kValidation);
  EXPECT_FALSE(figures.reconstruction_flips.has_value());
  const ClassLists lists = IndexLists(*plain.attributes, kTinyClasses);
  int64_t flips = 0;
  for (int64_t n = 0; n < kValidation; ++n) {
    const torch::Tensor base = Rendering::Png().Apply(model.Synthesize(images.styles.Narrow(n, 1)));
    const int64_t runner_up = model.Logits(base)[0].argsort(0, true)[1].item<int64_t>();
    std::vector<Move> moves;
    for (const Coordinate& coordinate : lists[static_cast<size_t>(runner_up)]) {
      if (moves.size() < kMovedAtOnce) {
        moves.push_back({coordinate, 1});
      }
    }
    const StyleVectors moved = ApplyMoves(images.styles.Narrow(n, 1), tiny_.ranges, moves);
    const torch::Tensor image = Rendering::Png().Apply(model.Synthesize(moved));
    flips += model.Logits(image).argmax().item<int64_t>() == runner_up;
  }
  EXPECT_EQ(figures.flips.at(Method::kAttFind)[3], flips);
  EXPECT_GT(flips, 0) << "the test sees no flips at all";
  EXPECT_THAT(figures.flips.at(Method::kNothing), ElementsAre(0, 0, 0, 0));
}

TEST_F(ProtocolsTest, ExemplarsAreChosenAsAsked) {
  const auto flips = [&](const ExemplarOptions& exemplars) {
    return HeldOut(*checkpoint_, pictures_, {},
                   {.seed = 3, .images = 0, .population = 0, .exemplars = exemplars, .search = {}},
                   progress())
        .value()
        .flips.at(Method::kExemplars);
  };
  const auto top = flips({.share = 0.1});
  EXPECT_NE(top, flips({}));
  const StyleVectors population = TrainingStyles();
  const auto logits_of = [&](const StyleVectors& styles) {
    torch::NoGradGuard no_grad;
    return tiny_.stylex.Logits(Rendering::Png().Apply(tiny_.stylex.Synthesize(styles)));
  };
  const torch::Tensor logits = logits_of(population);
  ClassLists lists(kTinyClasses);
  for (int64_t k = 0; k < kTinyClasses; ++k) {
    const auto listed = ExemplarAttributes(population.conv, logits, k, {.share = 0.1});
    ASSERT_TRUE(listed.ok()) << listed.status();
    for (const ExemplarAttribute& attribute : *listed) {
      lists[static_cast<size_t>(k)].push_back(attribute.coordinate);
    }
  }
  int64_t expected = 0;
  for (int64_t n = 0; n < kValidation; ++n) {
    const StyleVectors styles =
        tiny_.stylex.StylesOfImages(BitmapToTensor(pictures_.Load(Split::kValidation, n).value()));
    const int64_t target = logits_of(styles)[0].argsort(0, true)[1].item<int64_t>();
    const std::vector<Move> moves = MovesBy(1, lists[static_cast<size_t>(target)]);
    const torch::Tensor moved = logits_of(ApplyMoves(styles, tiny_.ranges, moves));
    expected += moved.argmax().item<int64_t>() == target ? 1 : 0;
  }
  EXPECT_EQ(top[3], expected);
}

TEST_F(ProtocolsTest, RepeatsThatAllHaveTheSameImagesAreDoubted) {
  const auto doubts = [&](int64_t images, int64_t repeats) {
    return Table2(*checkpoint_, pictures_,
                  {.seed = 4, .repeats = repeats, .images = images, .population = 0}, progress())
        .value()
        .at(Method::kNothing)
        .doubts;
  };
  EXPECT_THAT(doubts(kTrain - 1, 2), IsEmpty());
  EXPECT_THAT(doubts(kTrain, 1), IsEmpty()) << "one repeat has no spread";
  for (const int64_t images : {kTrain, kTrain + 1}) {
    EXPECT_THAT(doubts(images, 2),
                ElementsAre(HasSubstr(absl::StrCat("has 60 images and a repeat ", images))));
  }
}

TEST_F(ProtocolsTest, WhereNoImageIsAnExemplarNothingIsMovedAndThatIsSaid) {
  const ExemplarOptions none{.probability = 1};
  const ProtocolOptions options{
      .seed = 3, .repeats = 1, .images = 20, .population = 0, .exemplars = none, .search = {}};
  const auto rates = Table2(*checkpoint_, pictures_, options, progress()).value();
  ASSERT_EQ(rates.at(Method::kExemplars).doubts.size(), kTinyClasses);
  EXPECT_THAT(rates.at(Method::kExemplars).doubts[2],
              AllOf(HasSubstr("class 2 has"), HasSubstr("nothing is moved")));
  EXPECT_THAT(rates.at(Method::kAttFind).doubts, IsEmpty());
  const HeldOutFigures held_out = HeldOut(*checkpoint_, pictures_, {}, options, progress()).value();
  EXPECT_EQ(held_out.doubts.at(Method::kExemplars), rates.at(Method::kExemplars).doubts);
  EXPECT_THAT(held_out.flips.at(Method::kExemplars), ElementsAre(0, 0, 0, 0));
}

TEST_F(ProtocolsTest, ListsThatAreEmptySayWhy) {
  const ProtocolOptions options{
      .seed = 3, .repeats = 1, .images = 20, .population = 0, .search = {}};
  v1::AttributeIndex& index = *checkpoint_->attributes;
  index.mutable_classes(1)->clear_attributes();
  index.mutable_classes(1)->set_images(0);
  index.mutable_classes(3)->clear_attributes();
  index.mutable_classes(3)->set_images(5);
  const HeldOutFigures figures = HeldOut(*checkpoint_, pictures_, {}, options, progress()).value();
  EXPECT_THAT(figures.doubts.at(Method::kAttFind),
              ElementsAre(AllOf(HasSubstr("no image was decided otherwise than \"b\""),
                                HasSubstr("nothing is moved")),
                          HasSubstr("no coordinate raises \"d\"")));
  EXPECT_EQ(
      Table2(*checkpoint_, pictures_, options, progress()).value().at(Method::kAttFind).doubts,
      figures.doubts.at(Method::kAttFind));
  Explain(2);
  checkpoint_->attributes->mutable_classes(0)->clear_attributes();
  EXPECT_THAT(
      Table2(*checkpoint_, pictures_, options, progress()).value().at(Method::kAttFind).doubts,
      ElementsAre(AllOf(HasSubstr("\"a\""), HasSubstr("the other class's alone"))));
}

TEST_F(ProtocolsTest, NeedsAnIndex) {
  checkpoint_->attributes.reset();
  EXPECT_THAT(std::string(HeldOut(*checkpoint_, pictures_, {}, {}, progress()).status().message()),
              HasSubstr("stylex-train attributes"));
  EXPECT_THAT(std::string(Table2(*checkpoint_, pictures_, {}, progress()).status().message()),
              HasSubstr("stylex-train attributes"));
}

}  // namespace
}  // namespace stylex
