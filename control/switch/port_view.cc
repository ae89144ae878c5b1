#include "control/switch/port_view.h"

#include <algorithm>
#include <utility>

namespace millrace::control::switchd {

std::string PortView::description_of(const net::IpAddress& address) const {
  const auto found = by_address.find(address);
  return found == by_address.end() ? std::string() : by_id.at(found->second).description;
}

PortView make_port_view(std::uint64_t generation, const LivePorts& ports, net::PortId first_tunnel,
                        const LiveTunnels& tunnels, std::shared_ptr<const ServiceState> services) {
  PortView view;
  view.generation = generation;
  view.services = std::move(services);
  std::map<const LiveRuleSet*, std::shared_ptr<const ObjectNames>> names;  // many ports share a rule set
  for (const auto& [name, port] : ports) {
    PortView::Entry entry{name, port.config.description, {}};
    for (unsigned i = 0; i < kDirections; ++i) {
      const LiveRuleSet* set = port.rules.sets[i].get();
      if (set == nullptr) continue;
      std::shared_ptr<const ObjectNames>& known = names[set];
      if (known == nullptr) known = std::make_shared<const ObjectNames>(objects_of(*set));
      entry.isolating[i] = known;
    }
    for (const net::PortId id : port.ids) view.by_id.emplace(id, entry);
    view.by_name.emplace(name, port.id());
    for (const net::IpAddress& address : port.config.addresses) view.by_address.emplace(address, port.id());
  }
  for (const auto& [name, tunnel] : tunnels) {
    view.by_id.emplace(static_cast<net::PortId>(first_tunnel + tunnel.index),
                       PortView::Entry{name, "tunnel to " + tunnel.config->remote.to_string(), {}});
  }
  return view;
}

ObjectNames objects_of(const LiveRuleSet& set) {
  ObjectNames names;
  for (const auto& part : set.parts) {
    if (std::find(names.begin(), names.end(), part->spec->object) == names.end()) names.push_back(part->spec->object);
  }
  return names;
}

}  // namespace millrace::control::switchd
