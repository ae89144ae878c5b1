#include "tests/datapath/test_switch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace millrace::tests {

using datapath::PortCounters;
using datapath::PortSpec;
using datapath::WorkerId;

datapath::Gateway test_gateway() {
  return {.mac = mac(kGatewayMac),
          .ipv4 = v4("169.254.1.1"),
          .ipv6 = v6("fe80::1"),
          .icmp_source_v4 = v4(kNodeV4),
          .icmp_source_v6 = v6(kNodeV6)};
}
std::string pod_mac(unsigned number) {
  return net::Mac{{2, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}}.to_string();
}
std::string pod_v4(unsigned number) { return net::Ipv4::from_host(0x0af40000 + number).to_string(); }
std::string pod_v6(unsigned number) {
  net::Ipv6 address = v6("fd00:10:244::");
  address.bytes[14] = static_cast<std::uint8_t>(number >> 8);
  address.bytes[15] = static_cast<std::uint8_t>(number);
  return address.to_string();
}

TestSwitch::TestSwitch(const SwitchShape& shape)
    : shape_(shape),
      pool_(shape.packets),
      publisher_(shape.workers),
      rings_(datapath::make_handoff_rings(
          shape.workers,
          [](void* context, WorkerId consumer) noexcept { static_cast<TestSwitch*>(context)->wakes[consumer]++; },
          this)) {
  for (WorkerId id = 0; id < shape.workers; ++id) {
    counters_.push_back(
        std::make_unique<datapath::WorkerCounters>(shape.port_limit, shape.rule_limit, shape.tunnel_limit));
    datapath::FlowSettings flows = shape.flows;
    flows.ports = datapath::ports_of_worker(shape.masquerade_ports, shape.workers, id);
    workers_.push_back(std::make_unique<datapath::Worker>(id, flows, publisher_, pool_, *rings_, *counters_.back()));
  }
}

TestSwitch::~TestSwitch() = default;

PortSpec& TestSwitch::add(net::PortId id, PortSpec spec) {
  devices_[id] = std::make_unique<datapath::MemoryPort>(shape_.ring_size);
  spec.id = id;
  spec.port = devices_[id].get();
  spec.mtu_bytes = 1500;
  return specs_[id] = std::move(spec);
}

PortSpec& TestSwitch::add_pod(net::PortId id, unsigned number, WorkerId worker) {
  PortSpec spec;
  spec.name = std::to_string(number);
  spec.worker = worker;
  spec.mac = mac(pod_mac(number));
  spec.addresses = {net::IpAddress::from(v4(pod_v4(number))), net::IpAddress::from(v6(pod_v6(number)))};
  return add(id, std::move(spec));
}

PortSpec& TestSwitch::add_host(net::PortId id, WorkerId worker) {
  PortSpec spec;
  spec.name = "host";
  spec.kind = datapath::PortKind::kHost;
  spec.worker = worker;
  spec.mac = mac(pod_mac(0xff));
  spec.addresses = {net::IpAddress::from(v4(kNodeV4)), net::IpAddress::from(v6(kNodeV6))};
  spec.prefixes = {net::Prefix::parse("0.0.0.0/0").value(), net::Prefix::parse("::/0").value()};
  return add(id, std::move(spec));
}

PortSpec& TestSwitch::add_uplink(net::PortId id, WorkerId worker) {
  PortSpec spec;
  spec.name = "uplink";
  spec.kind = datapath::PortKind::kUplink;
  spec.worker = worker;
  spec.mac = mac(kUplinkMac);
  return add(id, std::move(spec));
}

PortSpec& TestSwitch::add_node_link(net::PortId id, WorkerId worker) {
  PortSpec spec;
  spec.name = "node";
  spec.kind = datapath::PortKind::kNodeLink;
  spec.worker = worker;
  spec.mac = mac(kUplinkMac);
  return add(id, std::move(spec));
}

void TestSwitch::remove(net::PortId id) {
  specs_.erase(id);
  removed_.push_back({std::move(devices_.at(id)), generation_});
  devices_.erase(id);
}

std::unique_ptr<datapath::Snapshot> TestSwitch::build(std::uint64_t generation) const {
  datapath::SnapshotSpec spec;
  spec.generation = generation;
  spec.port_limit = shape_.port_limit;
  spec.worker_count = shape_.workers;
  spec.gateway = test_gateway();
  for (const auto& [id, port] : specs_) spec.ports.push_back(port);
  spec.nat = nat;
  spec.nat.ports = shape_.masquerade_ports;
  std::vector<std::shared_ptr<const millrace::nat::Service>> built_services;
  for (const millrace::nat::ServiceSpec& service : services)
    built_services.push_back(millrace::nat::build_service(service).value());
  spec.services = millrace::nat::ServiceTable::build(built_services).value();
  spec.identities = identities;
  spec.tunnel_limit = shape_.tunnel_limit;
  spec.underlay = underlay;
  spec.uplinks = uplinks;
  spec.tunnels = tunnels;
  auto built = datapath::build_snapshot(spec, publisher_.current());
  EXPECT_TRUE(built.ok()) << built.error().message;
  return built.ok() ? std::move(built).value() : nullptr;
}

void TestSwitch::publish() { publisher_.publish(build(++generation_)); }

std::size_t TestSwitch::reclaim() {
  const std::size_t held = publisher_.reclaim();
  std::erase_if(removed_, [this](Removed& removed) {
    if (!publisher_.seen_by_all(removed.last_generation + 1)) return false;
    empty(*removed.device);
    return true;
  });
  return held;
}

void TestSwitch::empty(datapath::MemoryPort& device) {
  net::Packet* packet = nullptr;
  while (device.collect({&packet, 1}) == 1 || device.receive({&packet, 1}) == 1) pool_.release({&packet, 1});
}

bool TestSwitch::send(net::PortId id, const Bytes& frame, const net::Offload& offload) {
  net::Packet* first = nullptr;
  net::Packet* last = nullptr;
  std::size_t at = 0;
  do {
    net::Packet* const segment = pool_.allocate();
    if (segment == nullptr) break;
    const std::size_t bytes = std::min<std::size_t>(frame.size() - at, segment->tailroom_bytes());
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), bytes, segment->data);
    segment->head_bytes = static_cast<std::uint32_t>(bytes);
    segment->length_bytes = static_cast<std::uint32_t>(frame.size() - at);
    (first == nullptr ? first : last->next) = segment;
    last = segment;
    at += bytes;
  } while (at < frame.size());
  if (first == nullptr) return false;
  if (at < frame.size()) {
    for (net::Packet* segment = first; segment != last; segment = segment->next) {
      segment->length_bytes -= static_cast<std::uint32_t>(frame.size() - at);
    }
    last->length_bytes = last->head_bytes;
  } else {
    first->offload = offload;
    if (device(id).offer({&first, 1}) == 1) return true;
  }
  pool_.release({&first, 1});
  return false;
}

std::vector<net::PortId> TestSwitch::ports() const {
  std::vector<net::PortId> ids;
  for (const auto& [id, device] : devices_) ids.push_back(id);
  return ids;
}

std::vector<Sent> TestSwitch::receive_sent(net::PortId id) {
  std::vector<Sent> all;
  net::Packet* packet = nullptr;
  while (device(id).collect({&packet, 1}) == 1) {
    Sent sent{{}, packet->offload};
    const net::Packet* segment = packet;
    sent.frame.assign(segment->data, segment->data + segment->head_bytes);
    while (segment->is_chained()) {
      segment = segment->next;
      sent.frame.insert(sent.frame.end(), segment->data, segment->data + segment->head_bytes);
    }
    all.push_back(std::move(sent));
    pool_.release({&packet, 1});
  }
  return all;
}

std::vector<Bytes> TestSwitch::receive(net::PortId id) {
  std::vector<Bytes> frames;
  for (Sent& sent : receive_sent(id)) frames.push_back(std::move(sent.frame));
  return frames;
}

datapath::WorkerStep TestSwitch::step(WorkerId id) { return workers_[id]->step(now_ns); }

void TestSwitch::run() {
  for (bool is_busy = true; is_busy;) {
    is_busy = false;
    for (auto& each : workers_) is_busy |= each->step(now_ns).received > 0;
    is_busy |= rings_->size() > 0;
  }
}

std::uint64_t TestSwitch::sum(datapath::Counter PortCounters::*counter) const {
  std::uint64_t total = 0;
  for (const auto& each : counters_) {
    for (std::size_t id = 0; id < shape_.port_limit; ++id)
      total += (each->port(static_cast<net::PortId>(id)).*counter).get();
    total += (each->gone_ports().*counter).get();
  }
  return total;
}

std::uint64_t TestSwitch::drops(net::Drop reason) const {
  const auto index = static_cast<std::size_t>(reason);
  std::uint64_t total = 0;
  for (const auto& each : counters_) {
    for (std::size_t id = 0; id < shape_.port_limit; ++id)
      total += each->port(static_cast<net::PortId>(id)).drops[index].get();
    total += each->gone_ports().drops[index].get();
  }
  return total;
}

std::string TestSwitch::drop_text() const {
  std::string text;
  for (std::size_t i = 0; i < net::kDropCount; ++i) {
    const auto reason = static_cast<net::Drop>(i);
    if (const std::uint64_t count = drops(reason); count > 0) {
      if (!text.empty()) text += ' ';
      text.append(net::drop_name(reason)).append("=").append(std::to_string(count));
    }
  }
  return text;
}

void TestSwitch::check_law() const {
  std::uint64_t dropped = 0;
  for (std::size_t i = 0; i < net::kDropCount; ++i) dropped += drops(static_cast<net::Drop>(i));
  const std::uint64_t in = sum(&PortCounters::rx_packets) + sum(&PortCounters::created);
  const std::uint64_t out = sum(&PortCounters::tx_packets) + dropped + rings_->size();
  ASSERT_EQ(in, out) << "rx " << sum(&PortCounters::rx_packets) << " created " << sum(&PortCounters::created) << " tx "
                     << sum(&PortCounters::tx_packets) << " queued " << rings_->size() << " drops " << drop_text();
  ASSERT_EQ(drops(net::Drop::kNone), 0u);
}

}  // namespace millrace::tests
