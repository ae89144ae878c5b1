// An uplink that DPDK drives, and the node link beside it.
#include <gtest/gtest.h>

#include <algorithm>

#include "control/switch/switch_state.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

api::PortSpec uplink(const std::string& device) {
  api::PortSpec port = pod("up0", {});
  port.set_kind(api::PORT_KIND_UPLINK);
  port.set_device(device);
  return port;
}

api::PortSpec node_link() {
  api::PortSpec port = pod("link", {});
  port.set_kind(api::PORT_KIND_NODE_LINK);
  return port;
}

const datapath::PortEntry& entry(TestSwitch& sw, const std::string& name) {
  const auto names = sw.state->port_names();
  const auto at = std::find(names.begin(), names.end(), name) - names.begin();
  return sw.publisher.current()->ports[static_cast<std::size_t>(at)];
}

TEST(UplinkDevice, IsFilteredBesideTheNodeLink) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({uplink("net_null0"), node_link()})).ok());
  EXPECT_TRUE(entry(sw, "up0").is_filtered);
  EXPECT_EQ(entry(sw, "up0").mac, kDeviceMac) << "not that of the request: the wire knows the device's";
  EXPECT_EQ(&sw.publisher.current()->ports[entry(sw, "up0").beside], &entry(sw, "link"));
  EXPECT_EQ(&sw.publisher.current()->ports[entry(sw, "link").beside], &entry(sw, "up0"));
  const api::ListPortsReply list = sw.state->list_ports();
  for (const api::PortStatus& port : list.ports()) {
    EXPECT_EQ(port.device_mac().empty(), port.spec().device().empty()) << port.spec().name();
  }
}

TEST(UplinkDevice, OverAfXdpIsNotFiltered) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({uplink("")})).ok());
  EXPECT_FALSE(entry(sw, "up0").is_filtered);
  EXPECT_NE(entry(sw, "up0").mac, kDeviceMac);
}

TEST(UplinkDevice, IsNotExchangedWhileItIsOpen) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({uplink("net_null0"), node_link()})).ok());
  const std::string before = sw.ports();
  const auto other = sw.apply(upsert({uplink("net_null1")}));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().message,
            "upsert_ports[0].interface: interface veth-up0 is open with device net_null0; remove that port first");
  EXPECT_EQ(sw.ports(), before);
  ASSERT_TRUE(sw.apply(remove({"up0"})).ok());
  ASSERT_TRUE(sw.apply(upsert({uplink("net_null1")})).ok());
}

TEST(UplinkDevice, ThereIsOneAndOneNodeLink) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({uplink("net_null0"), node_link()})).ok());
  api::PortSpec second = uplink("net_null1");
  second.set_name("up1");
  second.set_interface("veth-up1");
  const auto devices = sw.apply(upsert({second}));
  ASSERT_FALSE(devices.ok());
  EXPECT_NE(devices.error().message.find("is a second device that no kernel drives"), std::string::npos)
      << devices.error().message;
  api::PortSpec more = node_link();
  more.set_name("link2");
  more.set_interface("veth-link2");
  const auto links = sw.apply(upsert({more}));
  ASSERT_FALSE(links.ok());
  EXPECT_NE(links.error().message.find("is a second node link"), std::string::npos) << links.error().message;
  EXPECT_EQ(sw.opener.open_count(), 2u) << "what was opened for the request is closed";
}

}  // namespace
}  // namespace millrace::control::switchd
