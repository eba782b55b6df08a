// What the parts of an explanation are called, and what is said of them.
#include "client/report/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/report/example_explanation.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// With the change on the photograph, which is decided as `decided`.
ExplainedPhotograph OnPhotograph(int decided) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  *explanation.answer.mutable_on_photograph_prediction() = Believed({0.5f, 0.5f, 0, 0, 0}, decided);
  explanation.answer.set_holds_on_photograph(decided == 1);
  return explanation;
}

TEST(ProbabilityTest, OfAClassThatThereIsNotIsNone) {
  const v1::Prediction prediction = Believed({0.9f, 0.1f}, 0);
  EXPECT_FLOAT_EQ(static_cast<float>(ProbabilityOf(prediction, 1)), 0.1f);
  EXPECT_EQ(ProbabilityOf(prediction, 2), 0);
  EXPECT_EQ(ProbabilityOf(prediction, -1), 0);
}

TEST(MarkTest, IsOfTheModelAndTheInput) {
  const SyntheticMark mark = MarkOf(CatToDog());
  EXPECT_EQ(mark.model, "pets/3");
  EXPECT_EQ(mark.input_sha256, std::string(64, 'a'));
  EXPECT_THAT(mark.program, testing::StartsWith("stylex "));
  EXPECT_FALSE(mark.in_part);
  EXPECT_TRUE(MarkOf(CatToDog(), /*in_part=*/true).in_part);
}

TEST(HoldsOnPhotographTest, NeedsAPictureAMoveAndTheDecision) {
  EXPECT_TRUE(HoldsOnPhotograph(OnPhotograph(1)));
  EXPECT_FALSE(HoldsOnPhotograph(OnPhotograph(0)));
  ExplainedPhotograph unmoved = OnPhotograph(1);
  unmoved.answer.clear_applied();
  EXPECT_FALSE(HoldsOnPhotograph(unmoved));
  ExplainedPhotograph unknown = OnPhotograph(1);
  unknown.on_photograph = Bitmap();
  EXPECT_FALSE(HoldsOnPhotograph(unknown));
}

TEST(LimitsOfChangeTest, SayWhatCouldNotBeDone) {
  EXPECT_THAT(LimitsOfChange(OnPhotograph(1)), IsEmpty());
  EXPECT_THAT(LimitsOfChange(OnPhotograph(0)),
              ElementsAre(HasSubstr("decided as cat, not as dog")));
  ExplainedPhotograph whole = OnPhotograph(1);
  whole.local = true;
  EXPECT_THAT(LimitsOfChange(whole), ElementsAre(HasSubstr("it does not convince")));
  whole.answer.set_convincing(false);
  EXPECT_THAT(LimitsOfChange(whole), ElementsAre(HasSubstr("not decided in the same way")));
  whole.answer.set_local_applied(true);
  EXPECT_THAT(LimitsOfChange(whole), IsEmpty());
}

TEST(AttributeTextTest, AnAttributeIsCalledByWhatIsKnownOfIt) {
  v1::Attribute attribute;
  attribute.set_index(12);
  EXPECT_EQ(AttributeText(attribute), "attribute 12");
  attribute.set_description("dark parts redder");
  EXPECT_EQ(AttributeText(attribute), "dark parts redder");
  attribute.set_name("ears");
  EXPECT_EQ(AttributeText(attribute), "ears");
}

TEST(BeforeAndAfterTest, TheAnimationSaysThatItIsDrawn) {
  const std::string gif = BeforeAndAfterGif(CatToDog()).value();
  EXPECT_THAT(gif, HasSubstr("Synthetic image, drawn by the StylEx model pets/3"));
  EXPECT_THAT(gif, HasSubstr(std::string(64, 'a')));
}

}  // namespace
}  // namespace stylex
