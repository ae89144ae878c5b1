/// Two pods, a host port, a service and policies behind the switch's socket, and packets from the pods.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "tests/net/packet_builder.h"
#include "tests/switch/switch_server.h"
#include "tests/switch/test_policy.h"
#include "tests/switch/test_services.h"

namespace millrace::control::switchd {

/// client 10.0.0.1 and server 10.0.0.2 are pods; "default/web" at 10.96.0.1:80 has the server at 8080 behind it.
class PacketWorld : public ServiceTest {
 protected:
  explicit PacketWorld(const TestSwitchOptions& options = {}) : ServiceTest(options) {}
  void SetUp() override {
    ServiceTest::SetUp();
    change(world());
  }

  static api::PortSpec described_pod(const std::string& name, const std::string& address) {
    api::PortSpec port = pod(name, {address});
    port.set_description("ns/" + name);
    port.set_masquerade(true);
    return port;
  }
  static api::ApplyRequest world() {
    api::ApplyRequest request =
        upsert({described_pod("client", "10.0.0.1"), described_pod("server", "10.0.0.2"), host("host", {"0.0.0.0/0"})});
    request.mutable_nat()->set_masquerade_ipv4(bytes_of("192.0.2.1"));
    request.mutable_nat()->add_node_addresses(bytes_of("192.0.2.1"));
    api::RoutePrefix* range = request.mutable_nat()->add_service_prefixes();
    range->set_address(bytes_of("10.96.0.0"));
    range->set_length(12);
    *request.add_upsert_services() = service("default/web", "10.96.0.1", 80, {"10.0.0.2"});
    return request;
  }
  void change(const api::ApplyRequest& request) {
    const auto reply = sw_.apply(request);
    ASSERT_TRUE(reply.ok()) << reply.error().message;
  }

  /// A frame of a pod's, to the gateway.
  static tests::PacketBuilder from(const std::string& name) {
    net::Mac mac;
    std::memcpy(mac.bytes.data(), pod(name, {}).mac().data(), mac.bytes.size());
    return tests::eth(mac.to_string(), kGatewayMac.to_string());
  }
  void send(const std::string& name, const tests::Bytes& frame) {
    net::Packet* packet = sw_.pool.allocate();
    ASSERT_NE(packet, nullptr);
    std::memcpy(packet->data, frame.data(), frame.size());
    packet->head_bytes = packet->length_bytes = static_cast<std::uint32_t>(frame.size());
    ASSERT_EQ(sw_.opener.device("veth-" + name)->offer({&packet, 1}), 1u);
    sw_.step();
    sw_.step();  // a worker that was asked by another answers in its next turn
    std::array<net::Packet*, 64> out{};
    const api::ListPortsReply list = sw_.state->list_ports();
    for (const api::PortStatus& port : list.ports()) {
      const unsigned count = sw_.opener.device(port.spec().interface())->collect(out);
      sw_.pool.release({out.data(), count});
    }
  }
};

}  // namespace millrace::control::switchd
