#include "control/agent/policies/endpoints.h"

#include <utility>

#include "control/agent/requests.h"

namespace millrace::control::agent::policies {

void Endpoints::claim(const net::IpAddress& address, const kube::ObjectKey& pod, Claim claim) {
  claims_[address][pod] = claim;
  touched_.insert(address);
}

void Endpoints::give_up(const net::IpAddress& address, const kube::ObjectKey& pod) {
  const auto claims = claims_.find(address);
  if (claims == claims_.end()) return;
  claims->second.erase(pod);
  if (claims->second.empty()) claims_.erase(claims);
  touched_.insert(address);
}

Identity Endpoints::identity_of(const net::IpAddress& address) const {
  const auto claims = claims_.find(address);
  if (claims == claims_.end()) return kNoIdentity;
  std::set<Identity> local, others;
  for (const auto& [pod, claim] : claims->second) (claim.is_local ? local : others).insert(claim.identity);
  const std::set<Identity>& best = local.empty() ? others : local;
  return best.size() == 1 ? *best.begin() : kNoIdentity;
}

std::vector<Endpoints::Change> Endpoints::take_changes() {
  std::vector<Change> changes;
  for (const net::IpAddress& address : std::exchange(touched_, {})) {
    const auto taken = taken_.find(address);
    const Identity before = taken == taken_.end() ? kNoIdentity : taken->second;
    const Identity after = identity_of(address);
    if (before == after) continue;
    changes.push_back({address, before, after});
    if (after == kNoIdentity) {
      taken_.erase(address);
    } else {
      taken_[address] = after;
    }
  }
  return changes;
}

void Endpoints::write(const std::vector<Change>& changes, api::ApplyRequest& request) {
  for (const Change& change : changes) {
    if (change.after == kNoIdentity) {
      request.add_remove_endpoints(to_bytes(change.address));
      continue;
    }
    api::Endpoint& endpoint = *request.add_upsert_endpoints();
    endpoint.set_address(to_bytes(change.address));
    endpoint.set_identity(change.after);
  }
}

}  // namespace millrace::control::agent::policies
