#include "control/agent/services/frontend_claims.h"

namespace millrace::control::agent::services {

void FrontendClaims::place(const api::Service& service, const std::set<std::string>& own,
                           std::set<std::string>& touched) {
  for (const api::Frontend& frontend : service.frontends()) {
    auto& claims = claims_[key_of(frontend)];
    for (const auto& [other, name] : claims) touched.insert(name);
    claims.insert({!own.contains(frontend.address()), service.name()});
  }
}

void FrontendClaims::withdraw(const api::Service& service, std::set<std::string>& touched) {
  for (const api::Frontend& frontend : service.frontends()) {
    const auto found = claims_.find(key_of(frontend));
    if (found == claims_.end()) continue;
    found->second.erase({false, service.name()});
    found->second.erase({true, service.name()});
    for (const auto& [other, name] : found->second) touched.insert(name);
    if (found->second.empty()) claims_.erase(found);
  }
}

const std::string& FrontendClaims::owner(const api::Frontend& frontend) const {
  static const std::string nobody;
  const auto found = claims_.find(key_of(frontend));
  return found == claims_.end() ? nobody : found->second.begin()->second;
}

}  // namespace millrace::control::agent::services
