#include "datapath/routes.h"

#include <string>
#include <utility>

#include "net/prefix_table.h"

namespace millrace::datapath {

struct RouteTable::Tables : net::PrefixTable<net::PortId, 8, 3, net::kNoPort> {};

RouteTable::RouteTable() : tables_(new Tables) {}
RouteTable::~RouteTable() = default;
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;

net::Result<RouteTable> RouteTable::build(const std::vector<Route>& routes) {
  if (routes.size() > kMaxRoutes) {
    return net::resource_exhausted("routes: " + std::to_string(routes.size()) + " are more than the limit of " +
                                   std::to_string(kMaxRoutes));
  }
  std::vector<net::Prefix> prefixes;
  prefixes.reserve(routes.size());
  for (const Route& route : routes) {
    const net::Prefix& prefix = route.prefix;
    if (prefix.length_bits > prefix.address.bits() || net::Prefix::of(prefix.address, prefix.length_bits) != prefix) {
      return net::invalid_argument("route " + prefix.to_string() + ": host bits are set or the length is too long");
    }
    if (route.port == net::kNoPort) return net::invalid_argument("route " + prefix.to_string() + " leads to no port");
    prefixes.push_back(prefix);
  }
  RouteTable result;
  *result.tables_ = {Tables::for_prefixes(prefixes)};
  for (const Route& route : routes) {
    if (!result.tables_->insert(route.prefix, route.port)) {
      return net::invalid_argument("route " + route.prefix.to_string() + " is given twice");
    }
  }
  return result;
}

net::PortId RouteTable::lookup(net::Ipv4 address) const noexcept { return tables_->find(address); }
net::PortId RouteTable::lookup(const net::Ipv6& address) const noexcept { return tables_->find(address); }
std::size_t RouteTable::size() const noexcept { return tables_->size(); }

}  // namespace millrace::datapath
