// Tables of nodes, ways to them and blocks of addresses, from replies as the daemons give them.
#include "control/cli/node_text.h"

#include <gtest/gtest.h>

namespace millrace::control::cli {
namespace {

const std::string kFirst("\xc0\x00\x02\x01", 4), kSecond("\xc0\x00\x02\x02", 4), kRouter("\xc0\x00\x02\xfe", 4);

api::ListNodesReply nodes() {
  api::ListNodesReply reply;
  api::Node& self = *reply.add_nodes();
  self.set_name("node-1");
  self.set_ready(true);
  self.set_is_self(true);
  self.add_addresses(kFirst);
  self.add_blocks("10.244.1.0/24");
  self.set_pod_count(3);
  self.set_started_unix_ms(1'000);
  self.set_version("0.1.0");
  api::Node& other = *reply.add_nodes();
  other.set_name("node-2");
  other.set_ready(true);
  other.add_addresses(kSecond);
  other.add_blocks("10.244.2.0/24");
  api::Node& gone = *reply.add_nodes();
  gone.set_name("node-3");
  gone.add_blocks("10.244.3.0/24");
  return reply;
}

api::ListTunnelsReply tunnels(api::TunnelState state, api::Encapsulation encapsulation) {
  api::ListTunnelsReply reply;
  api::TunnelStatus& status = *reply.add_tunnels();
  status.mutable_spec()->set_name("node-2");
  status.mutable_spec()->set_remote(kSecond);
  api::RoutePrefix& prefix = *status.mutable_spec()->add_prefixes();
  prefix.set_address(std::string("\x0a\xf4\x02\x00", 4));
  prefix.set_length(24);
  status.set_state(state);
  status.set_encapsulation(encapsulation);
  status.set_next_hop(kRouter);
  status.set_interface("eth0");
  status.set_mtu(1450);
  return reply;
}

TEST(NodeTable, SaysWhoIsThereAndHowItIsReached) {
  EXPECT_EQ(node_table(nodes(), tunnels(api::TUNNEL_STATE_UP, api::ENCAPSULATION_VXLAN), 61'000),
            "NODE    STATE  ADDRESSES  BLOCKS         PODS  REACHED    VERSION  AGE\n"
            "node-1  ready  192.0.2.1  10.244.1.0/24     3  this node  0.1.0    1m 0s\n"
            "node-2  ready  192.0.2.2  10.244.2.0/24     0  vxlan      -        -\n"
            "node-3  gone   -          10.244.3.0/24     0  -          -        -\n");
}

TEST(NodeTable, AWayThatDoesNotWorkSaysWhy) {
  struct Row {
    api::TunnelState state;
    api::Encapsulation encapsulation;
    const char* text;
  };
  const Row rows[] = {
      {api::TUNNEL_STATE_UP, api::ENCAPSULATION_VXLAN, "vxlan"},
      {api::TUNNEL_STATE_UP, api::ENCAPSULATION_NONE, "direct"},
      {api::TUNNEL_STATE_NO_ROUTE, api::ENCAPSULATION_VXLAN, "no route"},
      {api::TUNNEL_STATE_NOT_UPLINK, api::ENCAPSULATION_VXLAN, "not by the uplink"},
      {api::TUNNEL_STATE_NO_NEIGHBOR, api::ENCAPSULATION_VXLAN, "no neighbour"},
  };
  for (const Row& row : rows) EXPECT_EQ(reach_text(nodes().nodes(1), tunnels(row.state, row.encapsulation)), row.text);
  EXPECT_EQ(reach_text(nodes().nodes(1), {}), "") << "the switch has no way";
}

TEST(RouteTable, HasThisNodesBlocksAndTheOthers) {
  const auto routes = routes_of(nodes(), tunnels(api::TUNNEL_STATE_UP, api::ENCAPSULATION_NONE), "millrace0", 1500);
  EXPECT_EQ(route_table(routes),
            "PREFIX         NODE    VIA          ENCAPSULATION  INTERFACE   MTU  STATE\n"
            "10.244.1.0/24  node-1  -            local          millrace0  1500  up\n"
            "10.244.2.0/24  node-2  192.0.2.254  direct         eth0       1450  up\n");
}

TEST(TunnelTable, SaysWhereEachWayStandsAndWhatWentByIt) {
  api::ListTunnelsReply reply = tunnels(api::TUNNEL_STATE_UP, api::ENCAPSULATION_VXLAN);
  api::TunnelStatus& up = *reply.mutable_tunnels(0);
  up.set_next_hop_mac(std::string("\x02\x00\x00\x00\x00\x09", 6));
  up.set_rx_packets(7);
  up.set_rx_bytes(700);
  up.set_tx_packets(8);
  up.set_tx_bytes(880);
  api::TunnelStatus& down = *reply.add_tunnels();
  down.mutable_spec()->set_name("node-3");
  down.mutable_spec()->set_remote(kRouter);
  down.set_state(api::TUNNEL_STATE_NO_ROUTE);
  down.set_encapsulation(api::ENCAPSULATION_VXLAN);
  EXPECT_EQ(
      tunnel_table(reply),
      "TUNNEL  REMOTE       STATE     ENCAPSULATION  NEXT-HOP     MAC                INTERFACE   MTU  RX-PACKETS  "
      "RX-BYTES  TX-PACKETS  TX-BYTES\n"
      "node-2  192.0.2.2    up        vxlan          192.0.2.254  02:00:00:00:00:09  eth0       1450           7  "
      "     700           8       880\n"
      "node-3  192.0.2.254  no route  vxlan          -            -                  -             -           0  "
      "       0           0         0\n");
}

TEST(IpamText, CountsThePoolsAndListsTheirBlocks) {
  api::ListBlocksReply reply;
  for (const auto& [prefix, length, limit] :
       {std::tuple{"10.244.0.0/16", 24u, 256u}, std::tuple{"fd00:10:244::/112", 120u, 256u}}) {
    api::Pool& pool = *reply.add_pools();
    pool.set_prefix(prefix);
    pool.set_block_length(length);
    pool.set_block_limit(limit);
  }
  for (const auto& [prefix, node, state] :
       {std::tuple{"10.244.1.0/24", "node-1", "held"}, std::tuple{"10.244.2.0/24", "node-2", "empty"}}) {
    api::Block& block = *reply.add_blocks();
    block.set_prefix(prefix);
    block.set_pool("10.244.0.0/16");
    block.set_node(node);
    block.set_state(state);
    block.set_capacity(253);
    block.set_used(2);
  }
  EXPECT_EQ(ipam_text(reply),
            "pool 10.244.0.0/16: 1 of 256 blocks of /24 are taken\n"
            "BLOCK          NODE    STATE  USED  CAPACITY\n"
            "10.244.1.0/24  node-1  held      2       253\n"
            "10.244.2.0/24  node-2  empty     2       253\n"
            "\n"
            "pool fd00:10:244::/112: 0 of 256 blocks of /120 are taken\n");
  EXPECT_EQ(ipam_text({}), "no pool is configured\n");
}

}  // namespace
}  // namespace millrace::control::cli
