#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "server/handlers/handlers.h"
#include "server/repository/served_model.h"

namespace stylex {
namespace {

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;
constexpr char kTokenPrefix[] = "after:";

struct Position {
  std::string name;
  int64_t version = 0;
};

std::string ToPageToken(const v1::ModelSummary& last) {
  return absl::WebSafeBase64Escape(absl::StrCat(kTokenPrefix, last.version(), ":", last.name()));
}

std::optional<Position> FromPageToken(const std::string& token) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text)) {
    return std::nullopt;
  }
  absl::string_view rest = text;
  const size_t colon = text.find(':', sizeof(kTokenPrefix) - 1);
  Position position;
  if (!absl::ConsumePrefix(&rest, kTokenPrefix) || colon == std::string::npos ||
      !absl::SimpleAtoi(text.substr(sizeof(kTokenPrefix) - 1, colon - sizeof(kTokenPrefix) + 1),
                        &position.version)) {
    return std::nullopt;
  }
  position.name = text.substr(colon + 1);
  return position;
}

// Whether a model comes after the position in the order by name, newest version first.
bool IsAfter(const v1::ModelSummary& model, const Position& position) {
  return model.name() != position.name ? model.name() > position.name
                                       : model.version() < position.version;
}

}  // namespace

UnaryWork<v1::ListModelsResponse> ListModels(const HandlerContext& context,
                                             const v1::ListModelsRequest& request) {
  std::vector<Fault> faults;
  if (request.page_size() < 0) {
    faults.push_back(
        {"page_size", absl::StrCat("is ", request.page_size(), "; 0 or more is needed, 0 means ",
                                   kDefaultPageSize)});
  }
  std::optional<Position> position;
  if (!request.page_token().empty()) {
    position = FromPageToken(request.page_token());
    if (!position.has_value()) {
      faults.push_back({"page_token", "is none that a previous answer's next_page_token gave"});
    }
  }
  if (!faults.empty()) {
    return InvalidRequestError(faults);
  }
  const size_t page_size =
      request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
  auto run = [models = context.models, position, page_size](const Cancellation&,
                                                            v1::ListModelsResponse* response) {
    for (v1::ModelSummary& model : models->List()) {
      if (position.has_value() && !IsAfter(model, *position)) {
        continue;
      }
      if (response->models_size() == static_cast<int>(page_size)) {
        response->set_next_page_token(ToPageToken(*response->models().rbegin()));
        break;
      }
      *response->add_models() = std::move(model);
    }
    return absl::OkStatus();
  };
  return Work<v1::ListModelsResponse>{.run = std::move(run), .effort = Effort::kCheap};
}

UnaryWork<v1::GetModelResponse> GetModel(const HandlerContext& context,
                                         const v1::GetModelRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(ModelRepository::Entry entry, context.models->Describe(request.model()));
  auto run = [entry = std::move(entry)](const Cancellation&, v1::GetModelResponse* response) {
    if (entry.model != nullptr) {
      *response->mutable_model() = entry.model->Describe();
    } else {
      *response->mutable_model()->mutable_summary() = entry.summary;
    }
    return absl::OkStatus();
  };
  return Work<v1::GetModelResponse>{.run = std::move(run), .effort = Effort::kCheap};
}

}  // namespace stylex
