// Ports with a vhost-user socket in place of an interface, through the whole of Apply.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "control/switch/switch_state.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

api::PortSpec guest(const std::string& name, const std::string& path, api::VhostRole role = api::VHOST_ROLE_SERVER,
                    std::uint32_t queue_pairs = 0) {
  api::PortSpec port = pod(name, {});
  port.clear_interface();
  port.mutable_vhost_user()->set_path(path);
  port.mutable_vhost_user()->set_role(role);
  port.mutable_vhost_user()->set_queue_pairs(queue_pairs);
  return port;
}

TEST(VhostApply, IsToldAsItIsInForce) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({guest("a", "/run/a.sock", api::VHOST_ROLE_CLIENT, 4), guest("b", "/run/b.sock")})).ok());
  const api::ListPortsReply list = sw.state->list_ports();
  ASSERT_EQ(list.ports_size(), 2);
  EXPECT_EQ(list.ports(0).spec().interface(), "");
  EXPECT_EQ(list.ports(0).spec().vhost_user().path(), "/run/a.sock");
  EXPECT_EQ(list.ports(0).spec().vhost_user().role(), api::VHOST_ROLE_CLIENT);
  EXPECT_EQ(list.ports(0).spec().vhost_user().queue_pairs(), 4u);
  EXPECT_EQ(list.ports(1).spec().vhost_user().queue_pairs(), 64u) << "what 0 stands for";
}

TEST(VhostApply, ASocketIsOnePortsAlone) {
  TestSwitch sw;
  const auto refused = sw.apply(upsert({guest("a", "/run/s.sock"), guest("b", "/run/s.sock")}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message.substr(0, 60),
            std::string("upsert_ports[1].vhost_user.path: \"/run/s.sock\" is also that of port \"a\"").substr(0, 60));
}

TEST(VhostApply, AnOpenSocketKeepsItsRoleAndQueues) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({guest("a", "/run/s.sock")})).ok());
  const std::size_t opened = sw.opener.opened();
  for (const auto& other :
       {guest("a", "/run/s.sock", api::VHOST_ROLE_CLIENT), guest("a", "/run/s.sock", api::VHOST_ROLE_SERVER, 2)}) {
    const auto refused = sw.apply(upsert({other}));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(
        refused.error().message,
        "upsert_ports[0].vhost_user.path: vhost-user socket /run/s.sock is open as server of 64 queue pairs; remove "
        "that port first");
  }
  api::PortSpec changed = guest("a", "/run/s.sock");
  changed.set_mtu(1400);
  ASSERT_TRUE(sw.apply(upsert({changed})).ok());
  EXPECT_EQ(sw.opener.opened(), opened) << "it kept its socket, and so its guest";
  ASSERT_TRUE(sw.apply(remove({"a"})).ok());
  ASSERT_TRUE(sw.apply(upsert({guest("a", "/run/s.sock", api::VHOST_ROLE_CLIENT)})).ok());
  EXPECT_EQ(sw.opener.opened(), opened + 1);
}

TEST(VhostApply, AGuestThatTookItsMemoryBackIsToldOf) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({guest("a", "/run/a.sock"), guest("b", "/run/b.sock"), pod("c", {})})).ok());
  using Names = std::vector<std::string>;
  sw.opener.guests["/run/b.sock"] = {.is_connected = true, .queue_pairs = 1};
  EXPECT_EQ(sw.state->take_memory_losses(), Names{});
  sw.opener.guests["/run/b.sock"] = {.has_lost_memory = true, .memory_losses = 1, .refusals = 3};
  EXPECT_EQ(sw.state->take_memory_losses(), Names{"b"});
  EXPECT_EQ(sw.state->take_memory_losses(), Names{}) << "once";
  const api::ListPortsReply list = sw.state->list_ports();
  EXPECT_EQ(list.ports(0).state(), api::PORT_STATE_NO_GUEST);
  EXPECT_EQ(list.ports(1).state(), api::PORT_STATE_MEMORY_LOST);
  EXPECT_TRUE(list.ports(1).vhost_user().memory_lost());
  EXPECT_EQ(list.ports(1).vhost_user().memory_losses(), 1u);
  EXPECT_EQ(list.ports(1).vhost_user().refusals(), 3u);
  EXPECT_EQ(list.ports(2).state(), api::PORT_STATE_UP);
  const api::GetCountersReply counters = sw.state->counters();
  const auto& losses = counters.guest_memory_losses();
  EXPECT_EQ((std::map<std::string, std::uint64_t>(losses.begin(), losses.end())),
            (std::map<std::string, std::uint64_t>{{"a", 0}, {"b", 1}}));
  const auto& refusals = counters.guest_refusals();
  EXPECT_EQ((std::map<std::string, std::uint64_t>(refusals.begin(), refusals.end())),
            (std::map<std::string, std::uint64_t>{{"a", 0}, {"b", 3}}));

  sw.opener.guests["/run/b.sock"] = {.is_connected = true, .queue_pairs = 1, .memory_losses = 1};
  EXPECT_EQ(sw.state->list_ports().ports(1).state(), api::PORT_STATE_UP) << "the next one";
  sw.opener.guests["/run/b.sock"].memory_losses = 2;
  EXPECT_EQ(sw.state->take_memory_losses(), Names{"b"});
}

TEST(VhostApply, APodMayChangeFromAnInterfaceToASocket) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {})})).ok());
  ASSERT_TRUE(sw.apply(upsert({guest("a", "/run/s.sock")})).ok());
  EXPECT_EQ(sw.opener.open_count(), 1u) << "the interface is closed";
  EXPECT_EQ(sw.opener.device("veth-a"), nullptr);
  EXPECT_NE(sw.opener.device("/run/s.sock"), nullptr);
}

}  // namespace
}  // namespace millrace::control::switchd
