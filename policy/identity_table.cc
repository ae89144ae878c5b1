#include "policy/identity_table.h"

#include <algorithm>
#include <string>

namespace millrace::policy {

net::Result<std::shared_ptr<const IdentityTable>> IdentityTable::build(std::span<const Endpoint> endpoints) {
  if (endpoints.size() > kMaxEndpoints) {
    return net::resource_exhausted("endpoints: " + std::to_string(endpoints.size()) + "; limit " +
                                   std::to_string(kMaxEndpoints));
  }
  const auto v4_count = static_cast<std::size_t>(std::count_if(
      endpoints.begin(), endpoints.end(), [](const Endpoint& endpoint) { return endpoint.address.is_v4(); }));
  const std::shared_ptr<IdentityTable> table(new IdentityTable(v4_count, endpoints.size() - v4_count));
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.identity == kNoIdentity) {
      return net::invalid_argument("endpoint " + endpoint.address.to_string() + ": identity 0 is nobody's");
    }
    const bool is_new = endpoint.address.is_v4()
                            ? table->v4_.insert(net::table_key(endpoint.address.v4()), endpoint.identity)
                            : table->v6_.insert(net::table_key(endpoint.address.v6()), endpoint.identity);
    if (!is_new) return net::invalid_argument("endpoint " + endpoint.address.to_string() + " is given twice");
  }
  return std::shared_ptr<const IdentityTable>(table);
}

}  // namespace millrace::policy
