#include "server/web/request_rules.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/rpc/errors.h"

namespace stylex {
namespace {

// The header's value if there is exactly one.
std::optional<std::string> TheOnly(const httplib::Request& request, const char* header) {
  if (request.get_header_value_count(header) != 1) {
    return std::nullopt;
  }
  return request.get_header_value(header);
}

std::optional<Refusal> OfHost(const RequestRules& rules, const httplib::Request& request) {
  const std::string host = absl::AsciiStrToLower(TheOnly(request, "Host").value_or(""));
  if (std::find(rules.hosts.begin(), rules.hosts.end(), host) != rules.hosts.end()) {
    return std::nullopt;
  }
  return Refusal{421, absl::FailedPreconditionError(
                          absl::StrCat("this is not the host ", Quoted(host), " but ",
                                       ListOf(rules.hosts), "; --web-allowed-host names others"))};
}

std::optional<Refusal> OfType(const httplib::Request& request) {
  if (request.has_header("Transfer-Encoding")) {
    return Refusal{411, absl::InvalidArgumentError("a body needs a Content-Length")};
  }
  if (request.has_header("Content-Encoding")) {
    return Refusal{415, absl::InvalidArgumentError("a compressed body is not read")};
  }
  const std::string type = TheOnly(request, "Content-Type").value_or("");
  const std::vector<std::string> parts = absl::StrSplit(type, absl::MaxSplits(';', 1));
  if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(parts[0]), "application/json")) {
    return Refusal{415, absl::InvalidArgumentError("the Content-Type must be application/json")};
  }
  return std::nullopt;
}

std::optional<Refusal> OfOrigin(const httplib::Request& request) {
  const std::string host = request.get_header_value("Host");
  const std::string origin = TheOnly(request, "Origin").value_or("");
  // https where a proxy in front has the certificate.
  if (absl::EqualsIgnoreCase(origin, absl::StrCat("http://", host)) ||
      absl::EqualsIgnoreCase(origin, absl::StrCat("https://", host))) {
    return std::nullopt;
  }
  return Refusal{403, absl::PermissionDeniedError(
                          absl::StrCat("the Origin must be this page's own, http://", host,
                                       " or https://", host, ", not ", Quoted(origin)))};
}

std::optional<Refusal> OfSize(const RequestRules& rules, const httplib::Request& request) {
  const std::string length = TheOnly(request, "Content-Length").value_or("");
  uint64_t bytes = 0;
  if (length.empty() || !std::all_of(length.begin(), length.end(), absl::ascii_isdigit)) {
    return Refusal{411, absl::InvalidArgumentError("a body needs one Content-Length, a number")};
  }
  if (!absl::SimpleAtoi(length, &bytes) || bytes > rules.most_body_bytes) {
    return Refusal{413, absl::ResourceExhaustedError(
                            absl::StrCat("the body has ", length, " bytes, of at most ",
                                         rules.most_body_bytes, " (--max-message-mib)"))};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> RefusalOf(const RequestRules& rules, const httplib::Request& request) {
  if (auto refusal = OfHost(rules, request)) {
    return refusal;
  }
  const bool posts = request.method == "POST";
  if (!posts && request.method != "GET" && request.method != "HEAD") {
    return Refusal{405, absl::UnimplementedError("only GET, HEAD and POST are answered")};
  }
  if (posts) {
    for (const auto& refusal : {OfType(request), OfOrigin(request), OfSize(rules, request)}) {
      if (refusal.has_value()) {
        return refusal;
      }
    }
  }
  const bool open = rules.tokens == nullptr || !absl::StartsWith(request.path, "/v1/");
  if (!open && !rules.tokens->Allows(TheOnly(request, "Authorization").value_or(""))) {
    return Refusal{401, UnauthenticatedError()};
  }
  return std::nullopt;
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" ||
         (absl::StartsWith(host, "127.") &&
          host.find_first_not_of("0123456789.") == absl::string_view::npos);
}

std::vector<std::string> HostsOf(absl::string_view host, int port, absl::string_view others) {
  std::vector<std::string> names;
  if (IsLoopback(host)) {
    names = {"localhost", "127.0.0.1", "[::1]"};
    if (host.front() != '[' && !absl::StrContains(host, ':')) {
      names.emplace_back(host);
    }
  }
  std::vector<std::string> hosts;
  for (const std::string& name : names) {
    hosts.push_back(absl::StrCat(name, ":", port));
    if (port == 80 || port == 443) {
      hosts.push_back(name);  // browsers leave it out
    }
  }
  for (const absl::string_view other : absl::StrSplit(others, ',', absl::SkipWhitespace())) {
    const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(other));
    hosts.push_back(name);  // behind a proxy at the usual port
    hosts.push_back(absl::StrCat(name, ":", port));
  }
  return hosts;
}

}  // namespace stylex
