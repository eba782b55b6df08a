// `attributes`.
#include <chrono>
#include <csignal>

#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

using SearchTest = ClientFixture;

TEST_F(SearchTest, WithoutImagesTheStoredIndexIsAsked) {
  const ProgramResult result = Run({"attributes", "--target", "dog"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 attributes towards dog, 0 images (stored index)"));
  EXPECT_THAT(result.out, HasSubstr("to min        1.500       25.0 %"));
  EXPECT_EQ(service_.search_request().target_class().label(), "dog");
  EXPECT_EQ(service_.search_request().images_size(), 0);
}

TEST_F(SearchTest, SendsWhatTheOptionsSay) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const ProgramResult result =
      Run({"attributes", file, "--target", "1", "--source", "cat", "--strategy", "subset",
           "--search", "exhaustive", "--max", "1", "--shift", "2", "--threshold", "0.5"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("1 attributes towards dog, 1 images\n"));
  const v1::FindAttributesRequest request = service_.search_request();
  EXPECT_EQ(request.target_class().class_id(), 1);
  EXPECT_EQ(request.source_class().label(), "cat");
  EXPECT_EQ(request.strategy(), v1::STRATEGY_SUBSET);
  EXPECT_EQ(request.search(), v1::SEARCH_EXHAUSTIVE);
  EXPECT_EQ(request.max_attributes(), 1);
  EXPECT_EQ(request.shift(), 2);
  EXPECT_EQ(request.threshold(), 0.5);
}

TEST_F(SearchTest, APersonSeesProgressThenTheResult) {
  for (const char* name : {"a.png", "b.png", "c.png"}) {
    WriteGreyPng(folder_ / name, 16, 10);
  }
  const ProgramResult result =
      Run({"attributes", folder_.path(), "--target", "dog"}, {.environment = {}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("0 of 300 evaluations, 7 s left"));
  EXPECT_THAT(result.err, HasSubstr("200 of 300 evaluations"));
  EXPECT_THAT(result.err, testing::EndsWith("\r\033[K")) << "the progress line stays on the screen";
  EXPECT_THAT(result.out, HasSubstr("2 attributes towards dog, 3 images"));
}

TEST_F(SearchTest, AProgramSeesTheResultAlone) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  const ProgramResult result = Run({"attributes", file, "--target", "dog", "--json"});
  EXPECT_EQ(result.err, "");
  const auto documents = ParseJsonLines(result.out);
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(documents[0]["attributes"][1]["index"], 41);
  EXPECT_EQ(documents[0]["attributes"][1]["direction"], "DIRECTION_TO_MIN");
}

TEST_F(SearchTest, InterruptCancelsAtTheServer) {
  std::future<void> started = service_.endless_search_started();
  std::future<void> cancelled = service_.endless_search_cancelled();
  Program program({"attributes", "--target", "99", "--server", service_.address()}, {});
  started.wait();
  const auto begin = std::chrono::steady_clock::now();
  program.Signal(SIGINT);
  ExpectOneLine(program.Wait(), {"CANCELLED"});
  cancelled.wait();
  // It takes about 0.1 s; the bound only distinguishes it from the deadline of 600 s, even on a
  // busy machine.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(SearchTest, TimeoutEndsTheSearch) {
  ExpectOneLine(Run({"attributes", "--target", "99", "--timeout", "0.3"}), {"DEADLINE_EXCEEDED"});
}

TEST_F(SearchTest, BadStrategyNamesTheGoodOnes) {
  const ProgramResult result = Run({"attributes", "--target", "1", "--strategy", "fast"});
  EXPECT_GT(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("independent"));
}

}  // namespace
}  // namespace stylex
