// Which HTTP requests the live page's port answers at all, decided by their heads alone.
//
// A page of another site that a browser shows must reach nothing here, whatever it guesses: its
// requests come with another Origin, or, where it had its own name point to this machine, with
// another Host. All functions are pure.
#ifndef STYLEX_SERVER_WEB_REQUEST_RULES_H_
#define STYLEX_SERVER_WEB_REQUEST_RULES_H_

#include <httplib.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/rpc/access_tokens.h"

namespace stylex {

struct RequestRules {
  std::vector<std::string> hosts = {};  // in lower case: what the header Host may be
  size_t most_body_bytes = 0;
  AccessTokens* tokens = nullptr;  // may be null: none is needed
};

// A request that is not answered, and why.
struct Refusal {
  int code = 0;  // HTTP's
  absl::Status why;
};

// What speaks against a request, the first thing of: Host (421), method (405), for POST its
// encodings (411, 415), type (415), Origin (403) and size (411, 413), and the token of whatever is
// below /v1/ (401).
std::optional<Refusal> RefusalOf(const RequestRules& rules, const httplib::Request& request);

// Whether an address or name to listen on is reached from this machine alone.
bool IsLoopback(absl::string_view host);

// What Host may be for a page at `host` and `port`: the names of this machine where it listens on
// loopback, and `others`, which are separated by commas, with and without the port.
std::vector<std::string> HostsOf(absl::string_view host, int port, absl::string_view others);

}  // namespace stylex

#endif  // STYLEX_SERVER_WEB_REQUEST_RULES_H_
