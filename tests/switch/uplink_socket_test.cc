// Sockets as uplinks: what the config says of one.
#include "control/switch/uplink_socket.h"

#include <gtest/gtest.h>

namespace millrace::control::switchd {
namespace {

TEST(UplinkSocket, IsToldFromDevicesOfDpdk) {
  for (const char* device : {"vhost-user", "vhost-user,path=/x", "vhost-user,"})
    EXPECT_TRUE(is_uplink_socket(device)) << device;
  for (const char* device : {"", "vhost", "vhost-users,path=/x", "net_vhost0,iface=/x", "0000:3b:00.0"}) {
    EXPECT_FALSE(is_uplink_socket(device)) << device;
  }
}

TEST(UplinkSocket, HasAPathAMacAndARole) {
  const auto server = parse_uplink_socket("vhost-user,path=/run/up.sock,mac=02:00:00:00:00:51");
  ASSERT_TRUE(server.ok()) << server.error().message;
  EXPECT_EQ(server->path, "/run/up.sock");
  EXPECT_EQ(server->mac.to_string(), "02:00:00:00:00:51");
  EXPECT_FALSE(server->is_client);
  const auto client = parse_uplink_socket("vhost-user,role=client,mac=02:00:00:00:00:51,path=/run/a=b.sock");
  ASSERT_TRUE(client.ok()) << client.error().message;
  EXPECT_EQ(client->path, "/run/a=b.sock");
  EXPECT_TRUE(client->is_client);
}

TEST(UplinkSocket, SaysWhatIsWrong) {
  struct Row {
    const char* device;
    const char* error;
  };
  constexpr const char* kMac = "; allowed: a unicast address, \"02:00:00:00:00:01\"";
  constexpr const char* kAllowed = "; allowed: path=PATH, mac=MAC, role=server|client";
  for (const auto& [device, error] :
       {Row{"vhost-user", "device vhost-user: no path; allowed: path=PATH"},
        Row{"vhost-user,mac=02:00:00:00:00:51", "device vhost-user: no path; allowed: path=PATH"},
        Row{"vhost-user,path=/x", "device vhost-user: no mac; allowed: mac=MAC"}}) {
    const auto parsed = parse_uplink_socket(device);
    ASSERT_FALSE(parsed.ok()) << device;
    EXPECT_EQ(parsed.error().message, error) << device;
  }
  for (const char* argument : {"mac=", "mac=03:00:00:00:00:51", "mac=nonsense"}) {
    const auto parsed = parse_uplink_socket(std::string("vhost-user,path=/x,") + argument);
    ASSERT_FALSE(parsed.ok()) << argument;
    EXPECT_EQ(parsed.error().message, std::string("device vhost-user: ") + argument + kMac);
  }
  for (const char* argument : {"role=other", "queues=2", "path", "x"}) {
    const auto parsed = parse_uplink_socket(std::string("vhost-user,path=/x,mac=02:00:00:00:00:51,") + argument);
    ASSERT_FALSE(parsed.ok()) << argument;
    EXPECT_EQ(parsed.error().message, std::string("device vhost-user: ") + argument + kAllowed);
  }
}

}  // namespace
}  // namespace millrace::control::switchd
