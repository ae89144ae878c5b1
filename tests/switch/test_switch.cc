#include "tests/switch/test_switch.h"

#include <stdexcept>
#include <utility>

namespace millrace::control::switchd {
namespace {

/// Takes itself off the list of open devices when it is closed.
class ListedPort final : public datapath::Port {
 public:
  using List = std::shared_ptr<std::multimap<std::string, datapath::MemoryPort*>>;
  ListedPort(List list, const std::string& interface) : list_(std::move(list)) { at_ = list_->emplace(interface, &port_); }
  ~ListedPort() override { list_->erase(at_); }
  unsigned receive(std::span<net::Packet*> out) noexcept override { return port_.receive(out); }
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override { return port_.transmit(packets); }

 private:
  datapath::MemoryPort port_;
  List list_;
  std::multimap<std::string, datapath::MemoryPort*>::iterator at_;
};

}  // namespace

net::Result<OpenPort> MemoryOpener::open(const std::string& interface) {
  if (missing.contains(interface)) return net::not_found("no interface " + interface);
  ++opened_;
  return OpenPort{std::make_unique<ListedPort>(live_, interface), interface, number_[interface]};
}

DeviceStatus MemoryOpener::inspect(const OpenPort& open) const {
  const auto now = number_.find(open.interface);
  return {"memory", now != number_.end() && now->second != open.interface_number};
}

datapath::MemoryPort* MemoryOpener::device(const std::string& interface) const {
  const auto found = live_->find(interface);
  return found == live_->end() ? nullptr : found->second;
}

TestSwitch::TestSwitch(const TestSwitchOptions& options)
    : publisher(options.worker_count),
      rings_(datapath::make_handoff_rings(options.worker_count, [](void*, datapath::WorkerId) noexcept {}, nullptr)) {
  WorkerAccess access;
  access.publisher = &publisher;
  access.wake = [this] { step(); };
  access.ack_timeout = options.ack_timeout;
  for (unsigned i = 0; i < options.worker_count; ++i) {
    counters_.push_back(std::make_unique<datapath::WorkerCounters>(options.port_limit));
    workers_.push_back(std::make_unique<datapath::Worker>(static_cast<datapath::WorkerId>(i), publisher, pool, *rings_,
                                                          *counters_.back()));
    access.counters.push_back(counters_.back().get());
    access.cpus.push_back(i);
  }
  datapath::Gateway gateway;
  gateway.mac = kGatewayMac;
  gateway.ipv4 = net::Ipv4::parse("169.254.1.1").value();
  gateway.ipv6 = net::Ipv6::parse("fe80::1").value();
  auto created = SwitchState::create({options.port_limit, options.max_mtu_bytes}, gateway, opener, std::move(access));
  if (!created) throw std::runtime_error(created.error().message);
  state = std::move(created).value();
}

TestSwitch::~TestSwitch() = default;

std::string TestSwitch::ports() const {
  api::ListPortsReply list = state->list_ports();
  for (api::PortStatus& port : *list.mutable_ports()) port.clear_totals();
  return list.DebugString();
}

void TestSwitch::step() {
  now_ns_ += 1000;
  for (const auto& worker : workers_) {
    if (!away.contains(worker->id())) static_cast<void>(worker->step(now_ns_));
  }
}

std::string bytes_of(const std::string& address) {
  const net::IpAddress parsed = net::IpAddress::parse(address).value();
  return {parsed.raw().begin(), parsed.raw().end()};
}

api::PortSpec pod(const std::string& name, const std::vector<std::string>& addresses) {
  api::PortSpec port;
  port.set_name(name);
  port.set_kind(api::PORT_KIND_POD);
  port.set_interface("veth-" + name);
  std::string mac("\x02\0\0\0\0\0", 6);
  for (std::size_t i = 0; i < name.size(); ++i) mac[1 + i % 5] = static_cast<char>(mac[1 + i % 5] * 31 + name[i]);
  port.set_mac(mac);
  for (const std::string& address : addresses) port.add_addresses(bytes_of(address));
  port.set_mtu(1500);
  return port;
}

api::PortSpec host(const std::string& name, const std::vector<std::string>& prefixes) {
  api::PortSpec port = pod(name, {});
  port.set_kind(api::PORT_KIND_HOST);
  for (const std::string& text : prefixes) {
    const net::Prefix prefix = net::Prefix::parse(text).value();
    api::RoutePrefix* route = port.add_prefixes();
    route->set_address(std::string(prefix.address.raw().begin(), prefix.address.raw().end()));
    route->set_length(prefix.length_bits);
  }
  return port;
}

api::ApplyRequest upsert(const std::vector<api::PortSpec>& ports) {
  api::ApplyRequest request;
  for (const api::PortSpec& port : ports) *request.add_upsert_ports() = port;
  return request;
}

api::ApplyRequest replace(const std::vector<api::PortSpec>& ports) {
  api::ApplyRequest request = upsert(ports);
  request.set_replace_all(true);
  return request;
}

api::ApplyRequest remove(const std::vector<std::string>& names) {
  api::ApplyRequest request;
  for (const std::string& name : names) request.add_remove_ports(name);
  return request;
}

}  // namespace millrace::control::switchd
