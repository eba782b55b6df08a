// A fake server and a temporary folder, new for every test.
#ifndef STYLEX_TESTS_CLIENT_CLIENT_FIXTURE_H_
#define STYLEX_TESTS_CLIENT_CLIENT_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/client/fake_service.h"
#include "tests/client/program.h"
#include "tests/client/test_files.h"

namespace stylex {

class ClientFixture : public testing::Test {
 protected:
  // Runs the program against the fake server.
  ProgramResult Run(std::vector<std::string> arguments, const Program::Options& options = {}) {
    arguments.insert(arguments.end(), {"--server", service_.address()});
    return RunProgram(arguments, options);
  }

  FakeService service_;
  TemporaryFolder folder_;
};

// Expects exit code 1, nothing on stdout, and one line on stderr that contains the given texts.
inline void ExpectOneLine(const ProgramResult& result, const std::vector<std::string>& named) {
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, testing::StartsWith("stylex: "));
  for (const std::string& name : named) {
    EXPECT_THAT(result.err, testing::HasSubstr(name));
  }
}

// Parses one JSON document per line.
inline std::vector<nlohmann::json> ParseJsonLines(const std::string& text) {
  std::vector<nlohmann::json> documents;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    EXPECT_NE(end, std::string::npos) << "the last line has no end: " << text;
    documents.push_back(nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false));
    EXPECT_FALSE(documents.back().is_discarded()) << text;
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  return documents;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_CLIENT_CLIENT_FIXTURE_H_
