#include "tests/switch/test_switch.h"

#include <stdexcept>
#include <utility>

#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {

/// Takes itself off the list of open devices when it is closed.
class MemoryOpener::ListedPort final : public datapath::Port {
 public:
  ListedPort(MemoryOpener& opener, const std::string& interface)
      : opener_(opener), at_(opener.live_.emplace(interface, &port_)) {}
  ~ListedPort() override {
    const std::lock_guard lock(opener_.mutex_);
    opener_.live_.erase(at_);
  }
  unsigned receive(std::span<net::Packet*> out) noexcept override { return port_.receive(out); }
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override { return port_.transmit(packets); }

 private:
  MemoryOpener& opener_;
  datapath::MemoryPort port_;
  std::multimap<std::string, datapath::MemoryPort*>::iterator at_;
};

namespace {

std::string call_text(const char* name, const datapath::UplinkRules& rules) {
  return std::string(name)
      .append(" ")
      .append(std::to_string(rules.frontends.size()))
      .append(" frontends, masquerade ")
      .append(rules.masquerade_v4.to_string())
      .append(rules.vtep_port == 0 ? "" : ", VXLAN at " + rules.vtep_v4.to_string())
      .append(rules.local_prefixes.empty() ? "" : ", " + std::to_string(rules.local_prefixes.size()) + " prefixes");
}

}  // namespace

net::Result<void> MemoryOpener::widen_uplinks(const datapath::UplinkRules& rules) {
  uplink_calls.push_back(call_text("widen", rules));
  return {};
}

net::Result<void> MemoryOpener::narrow_uplinks(const datapath::UplinkRules& rules) {
  uplink_calls.push_back(call_text("narrow", rules));
  return {};
}

net::Result<OpenPort> MemoryOpener::open(const PortRequest& request) {
  const std::string& interface = request.interface;
  std::unique_lock lock(mutex_);
  ++held_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !hold_ || let_go_.contains(interface); });
  --held_;
  if (missing.contains(interface)) return net::not_found("no interface " + interface);
  // remove() takes a device that is open off the interface: then it may be opened again.
  if (live_.contains(interface) && !removed_.contains(interface)) {
    return net::failed_precondition("interface " + interface + " is open already");
  }
  removed_.erase(interface);
  ++opened_;
  const auto number = number_.try_emplace(interface, static_cast<unsigned>(100 * (number_.size() + 1))).first;
  OpenPort open{.queues = {}, .interface = interface, .interface_number = number->second, .kind = request.kind};
  open.device = request.device;
  open.vhost = request.vhost;
  if (!request.device.empty()) open.mac = kDeviceMac;
  const unsigned count = queues.contains(interface) ? queues.at(interface) : 1;
  for (unsigned i = 0; i < count; ++i) open.queues.push_back(std::make_unique<ListedPort>(*this, interface));
  return open;
}

void MemoryOpener::hold() {
  const std::lock_guard lock(mutex_);
  hold_ = true;
}

void MemoryOpener::let_go(const std::string& interface) {
  const std::lock_guard lock(mutex_);
  let_go_.insert(interface);
  changed_.notify_all();
}

void MemoryOpener::wait_until_held(std::size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return held_ >= count; });
}

DeviceStatus MemoryOpener::inspect(const OpenPort& open) const {
  DeviceStatus status{.xdp_mode = "memory", .dead = is_dead(open)};
  if (!open.vhost) return status;
  const auto found = guests.find(open.interface);
  status.guest = found == guests.end() ? VhostGuest{} : found->second;
  return status;
}

bool MemoryOpener::is_dead(const OpenPort& open) const {
  const std::lock_guard lock(mutex_);
  return number_.at(open.interface) != open.interface_number;
}

void MemoryOpener::remove(const std::string& interface) {
  const std::lock_guard lock(mutex_);
  ++number_[interface];
  removed_.insert(interface);
}

unsigned MemoryOpener::number_of(const std::string& interface) const {
  const std::lock_guard lock(mutex_);
  return number_.at(interface);
}

std::size_t MemoryOpener::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

std::size_t MemoryOpener::open_count() const {
  const std::lock_guard lock(mutex_);
  return live_.size();
}

std::size_t MemoryOpener::opened() const {
  const std::lock_guard lock(mutex_);
  return opened_;
}

datapath::MemoryPort* MemoryOpener::device(const std::string& interface, std::size_t queue) const {
  const std::lock_guard lock(mutex_);
  const auto [first, end] = live_.equal_range(interface);
  if (queue >= static_cast<std::size_t>(std::distance(first, end))) return nullptr;
  return std::next(first, static_cast<std::ptrdiff_t>(queue))->second;
}

TestSwitch::TestSwitch(const TestSwitchOptions& options)
    : pool(options.packets),
      publisher(options.worker_count),
      rings_(datapath::make_handoff_rings(
          options.worker_count, [](void*, datapath::WorkerId) noexcept {}, nullptr)) {
  access.publisher = &publisher;
  access.wake = options.threads ? std::function<void()>([] {}) : [this] { step(); };
  access.post = [this](datapath::WorkerId worker, datapath::FlowScan& scan) { workers_[worker]->post(scan); };
  access.ack_timeout = options.ack_timeout;
  for (unsigned i = 0; i < options.worker_count; ++i) {
    counters_.push_back(std::make_unique<datapath::WorkerCounters>(options.port_limit,
                                                                   rule_slot_count(options.rule_limit), kTunnelLimit));
    const auto id = static_cast<datapath::WorkerId>(i);
    datapath::FlowSettings flows;
    flows.limit = nat::kMinFlowLimit;
    flows.ports = datapath::ports_of_worker(options.nat_ports, options.worker_count, id);
    workers_.push_back(std::make_unique<datapath::Worker>(id, flows, publisher, pool, *rings_, *counters_.back()));
    access.counters.push_back(counters_.back().get());
    access.taps.push_back(&workers_.back()->tap());
    access.cpus.push_back(i);
  }
  datapath::Gateway gateway;
  gateway.mac = kGatewayMac;
  gateway.ipv4 = net::Ipv4::parse("169.254.1.1").value();
  gateway.ipv6 = net::Ipv6::parse("fe80::1").value();
  auto created = SwitchState::create({options.port_limit, options.max_mtu_bytes, options.nat_ports, options.rule_limit},
                                     gateway, opener, underlay, access);
  if (!created) throw std::runtime_error(created.error().message);
  state = std::move(created).value();
  for (unsigned i = 0; options.threads && i < options.worker_count; ++i) {
    threads_.emplace_back([this, i](const std::stop_token& stop) {
      for (std::uint64_t now_ns = 1000; !stop.stop_requested(); now_ns += 1000) {
        if (workers_[i]->step(now_ns).received == 0) std::this_thread::yield();
      }
    });
  }
}

TestSwitch::~TestSwitch() {
  threads_.clear();
  state.reset();  // what WorkerAccess points to outlives it
}

std::string TestSwitch::ports() const {
  api::ListPortsReply list = state->list_ports();
  for (api::PortStatus& port : *list.mutable_ports()) port.clear_totals();
  return list.DebugString();
}

void TestSwitch::step() {
  bool again = true;
  while (std::exchange(again, false)) {
    now_ns_ += 1000;
    for (const auto& worker : workers_) {
      if (!away.contains(worker->id())) again |= worker->step(now_ns_).is_scanning;
    }
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
