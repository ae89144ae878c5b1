/// Two switches and the network between their nodes, in memory.
///
/// Shape:   node A is 192.0.2.1, pods 10.244.0.N; node B is 192.0.2.2, pods 10.245.0.N; addresses of IPv6 alike
///          (2001:db8::1, fd00:10:244::N and 2001:db8::2, fd00:10:245::N). Ports of each: 0 host, 1.. uplink queues,
///          kFirstPod.. pods. The host port is the last worker's, so that it is not the pods'.
///          carry() moves what left by an uplink to the other node's, to a queue chosen by the outer ports as a device
///          does it. Frames to the host port stay there: the test is the kernel.
/// Thread:  one.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"

namespace millrace::tests {

inline constexpr net::PortId kHostPort = 0;
inline constexpr net::PortId kFirstQueue = 1;
inline constexpr net::PortId kNodeLink = 5;
inline constexpr net::PortId kFirstPod = 6;
inline constexpr std::uint32_t kTestVni = 4096;

struct TunnelShape {
  unsigned workers = 1;
  unsigned queues = 1;
  bool is_encapsulated = true;
  bool is_over_v6 = false;
  bool is_filtered = false;   // no kernel drives the device: what is not the switch's goes to kNodeLink
  SwitchShape switches = {};  // of each; workers and tunnels are set here
};

/// One node; `number` 1 is A, 2 is B.
class TunnelNode {
 public:
  TunnelNode(unsigned number, const TunnelShape& shape) : number_(number), shape_(shape), world_(switch_shape(shape)) {
    world_.add_host(kHostPort, static_cast<datapath::WorkerId>(shape.workers - 1)).addresses = {
        address(node_v4(number)), address(node_v6(number))};
    datapath::UplinkSpec uplink{"eth0", device_mac(number), {}};
    for (unsigned i = 0; i < shape.queues; ++i) {
      const auto id = static_cast<net::PortId>(kFirstQueue + i);
      datapath::PortSpec& queue = world_.add_uplink(id, static_cast<datapath::WorkerId>(i % shape.workers));
      queue.mac = device_mac(number);
      queue.is_filtered = shape.is_filtered;
      uplink.queues.push_back(id);
    }
    world_.uplinks = {uplink};
    if (shape.is_filtered) world_.add_node_link(kNodeLink);
    describe_nat(world_);
    world_.nat.masquerade_v4 = v4(node_v4(number));
    world_.nat.masquerade_v6 = v6(node_v6(number));
    world_.nat.not_masqueraded = {net::Prefix::parse(node_v4(number) + "/32").value(),
                                  net::Prefix::parse(node_v6(number) + "/128").value()};
    world_.nat.node_addresses = {address(node_v4(number)), address(node_v6(number))};
    world_.underlay = {v4(node_v4(number)), v6(node_v6(number)), vtep_mac(number), kTestVni, 4789};
  }

  static net::IpAddress address(const std::string& text) { return net::IpAddress::parse(text).value(); }
  static std::string node_v4(unsigned number) { return fmt::format("192.0.2.{}", number); }
  static std::string node_v6(unsigned number) { return fmt::format("2001:db8::{}", number); }
  static net::Mac device_mac(unsigned number) { return {{2, 0, 0, 0, 2, static_cast<std::uint8_t>(number)}}; }
  static net::Mac vtep_mac(unsigned number) { return {{2, 0, 0, 0, 3, static_cast<std::uint8_t>(number)}}; }
  static std::string pod_v4(unsigned node, unsigned pod) { return fmt::format("10.{}.0.{}", 243 + node, pod); }
  static std::string pod_v6(unsigned node, unsigned pod) { return fmt::format("fd00:10:{}::{:x}", 243 + node, pod); }

  datapath::PortSpec& add_pod(unsigned pod, datapath::WorkerId worker = 0) {
    datapath::PortSpec& spec = world_.add_pod(pod_port(pod), pod, worker);
    spec.addresses = {address(pod_v4(number_, pod)), address(pod_v6(number_, pod))};
    spec.masquerade = true;
    return spec;
  }
  static constexpr net::PortId pod_port(unsigned pod) { return static_cast<net::PortId>(kFirstPod + pod); }

  /// Tunnel `index` to another node: its pods' prefixes and its own addresses.
  datapath::TunnelSpec& add_tunnel(datapath::TunnelIndex index, unsigned to) {
    const auto prefix = [](const std::string& text) { return net::Prefix::parse(text).value(); };
    world_.tunnels.push_back(
        {.index = index,
         .name = fmt::format("node {}", to),
         .remote = address(shape_.is_over_v6 ? node_v6(to) : node_v4(to)),
         .is_encapsulated = shape_.is_encapsulated,
         .remote_vtep_mac = vtep_mac(to),
         .hop = datapath::TunnelHop{0, device_mac(to), 1500},
         .prefixes = {prefix(fmt::format("10.{}.0.0/24", 243 + to)), prefix(fmt::format("fd00:10:{}::/64", 243 + to)),
                      prefix(node_v4(to) + "/32"), prefix(node_v6(to) + "/128")}});
    return world_.tunnels.back();
  }

  TestSwitch& world() { return world_; }
  TestSwitch* operator->() { return &world_; }
  unsigned queues() const { return shape_.queues; }

 private:
  static SwitchShape switch_shape(const TunnelShape& shape) {
    SwitchShape made = shape.switches;
    made.workers = shape.workers;
    made.tunnel_limit = 4;
    return made;
  }

  unsigned number_;
  TunnelShape shape_;
  TestSwitch world_;
};

/// Both nodes, with a tunnel 2 each to the other and two pods: 1 on the first worker, 2 on the next.
struct TunnelPair {
  explicit TunnelPair(const TunnelShape& shape = {}) : a(1, shape), b(2, shape) {
    for (TunnelNode* const node : {&a, &b}) {
      node->add_pod(1, 0);
      node->add_pod(2, static_cast<datapath::WorkerId>(shape.workers > 1 ? 1 : 0));
    }
    a.add_tunnel(2, 2);
    b.add_tunnel(2, 1);
    a->publish();
    b->publish();
  }

  /// Moves what left by uplinks until nothing does any more. Returns the frames, in order.
  std::vector<Bytes> carry() {
    std::vector<Bytes> carried;
    for (bool is_moving = true; is_moving;) {
      is_moving = false;
      for (TunnelNode* const from : {&a, &b}) {
        TunnelNode& to = from == &a ? b : a;
        from->world().run();
        for (unsigned i = 0; i < from->queues(); ++i) {
          for (const Bytes& frame : from->world().receive(static_cast<net::PortId>(kFirstQueue + i))) {
            carried.push_back(frame);
            is_moving = true;
            // As receive-side scaling spreads: by bytes that are the same for a flow (the outer or inner ports).
            const unsigned queue = frame.size() > 37 ? (frame[34] + frame[35] + frame[37]) % to.queues() : 0;
            EXPECT_TRUE(to.world().send(static_cast<net::PortId>(kFirstQueue + queue), frame));
          }
        }
      }
    }
    a.world().run();
    b.world().run();
    a.world().check_law();
    b.world().check_law();
    return carried;
  }

  TunnelNode a;
  TunnelNode b;
};

/// What a port has, as "PORT: tuple".
inline std::string arrivals(TestSwitch& world) {
  std::string text;
  for (const net::PortId id : world.ports()) {
    for (const Bytes& frame : world.receive(id)) {
      text.append(text.empty() ? "" : ", ").append(fmt::format("{}: {}", id, tuple_text(frame)));
    }
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace millrace::tests
