#include "control/agent/requests.h"

#include <gtest/gtest.h>

#include <functional>

#include "control/agent/interface_name.h"
#include "control/agent/kubernetes_syntax.h"

namespace millrace::control::agent {
namespace {

/// The error's sentence begins with the field.
bool names(const net::Error& error, std::string_view field) {
  const std::string_view message = error.message;
  if (!message.starts_with(field) || message.size() == field.size()) return false;
  return message[field.size()] == ':' || message[field.size()] == ',';
}

api::AddPodRequest good() {
  api::AddPodRequest request;
  request.mutable_key()->set_network("millrace");
  request.mutable_key()->set_container_id("c0ffee");
  request.mutable_key()->set_ifname("eth0");
  request.set_netns("/run/netns/x");
  request.set_pod_namespace("default");
  request.set_pod_name("web-0");
  return request;
}

TEST(Requests, a_type_of_port_is_refused_with_the_field_that_is_wrong) {
  struct Row {
    const char* name;
    api::PortType type;
    std::uint32_t queue_pairs;
    const char* field;
  };
  const Row rows[] = {
      {"a type of the future", static_cast<api::PortType>(3), 1, "port_type"},
      {"a kernel interface's socket", api::PORT_TYPE_KERNEL, 1, "vhost_user"},
      {"nobody's socket", api::PORT_TYPE_UNSPECIFIED, 1, "vhost_user"},
      {"65 queue pairs", api::PORT_TYPE_VHOST_USER, 65, "vhost_user.queue_pairs"},
  };
  for (const Row& row : rows) {
    auto request = good();
    request.set_port_type(row.type);
    request.mutable_vhost_user()->set_queue_pairs(row.queue_pairs);
    const auto refused = to_pod_request(request);
    ASSERT_FALSE(refused.ok()) << row.name;
    EXPECT_TRUE(names(refused.error(), row.field)) << row.name << ": " << refused.error().message;
  }
  auto request = good();
  request.set_port_type(api::PORT_TYPE_VHOST_USER);
  request.mutable_vhost_user()->set_queue_pairs(64);
  EXPECT_EQ(to_pod_request(request)->vhost, (VhostWish{false, 64}));
  EXPECT_FALSE(to_pod_request(good())->vhost);
}

TEST(Requests, an_add_is_refused_with_the_field_that_is_wrong) {
  using Request = api::AddPodRequest;
  struct Row {
    const char* name;
    std::function<void(Request&)> spoil;
    const char* field;
  };
  const std::string v4 = {10, 0, 0, 1};
  const auto delegate = [](Request& r, const std::string& address, unsigned length) {
    r.add_delegated()->set_address(address);
    r.mutable_delegated(r.delegated_size() - 1)->set_prefix_length(length);
  };
  const Row rows[] = {
      {"no network", [](Request& r) { r.mutable_key()->clear_network(); }, "network"},
      {"a container that climbs", [](Request& r) { r.mutable_key()->set_container_id("../x"); }, "container_id"},
      {"a container without end", [](Request& r) { r.mutable_key()->set_container_id(std::string(256, 'a')); },
       "container_id"},
      {"an interface that is too long", [](Request& r) { r.mutable_key()->set_ifname("sixteen-chars-xx"); }, "ifname"},
      {"an interface that is a directory", [](Request& r) { r.mutable_key()->set_ifname(".."); }, "ifname"},
      {"an interface with a slash", [](Request& r) { r.mutable_key()->set_ifname("a/b"); }, "ifname"},
      {"no netns", [](Request& r) { r.clear_netns(); }, "netns"},
      {"a netns with a zero byte", [](Request& r) { r.set_netns(std::string("/a\0b", 4)); }, "netns"},
      {"a pod without namespace", [](Request& r) { r.clear_pod_namespace(); }, "pod_namespace"},
      {"a namespace in capitals", [](Request& r) { r.set_pod_namespace("Default"); }, "pod_namespace"},
      {"a MAC of five bytes", [](Request& r) { r.set_mac("12345"); }, "mac"},
      {"a multicast MAC", [](Request& r) { r.set_mac(std::string("\x01\0\x5e\0\0\1", 6)); }, "mac"},
      {"a small MTU", [](Request& r) { r.set_mtu(575); }, "mtu"},
      {"an MTU past an IP packet", [](Request& r) { r.set_mtu(65536); }, "mtu"},
      {"an address of five bytes", [](Request& r) { r.add_addresses("12345"); }, "addresses"},
      {"two wanted of one family",
       [&](Request& r) {
         r.add_addresses(v4);
         r.add_addresses({10, 0, 0, 2});
       },
       "addresses"},
      {"a multicast address", [](Request& r) { r.add_addresses(std::string("\xe0\0\0\1", 4)); }, "addresses"},
      {"a prefix past its family", [&](Request& r) { delegate(r, v4, 33); }, "delegated.prefix_length"},
      {"one delegated twice",
       [&](Request& r) {
         delegate(r, v4, 24);
         delegate(r, v4, 24);
       },
       "delegated"},
      {"five delegated of one family",
       [&](Request& r) {
         for (char i = 1; i <= 5; ++i) delegate(r, {10, 0, 0, i}, 24);
       },
       "delegated"},
  };
  ASSERT_TRUE(to_pod_request(good()).ok());
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Request request = good();
    row.spoil(request);
    auto checked = to_pod_request(request);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_TRUE(names(checked.error(), row.field)) << checked.error().message;
  }
}

TEST(Requests, addresses_come_with_the_second_of_two_steps) {
  using Request = api::AddPodRequest;
  struct Row {
    const char* name;
    std::function<void(Request&)> edit;
    bool is_right;
  };
  const auto delegate = [](Request& r) {
    r.add_delegated()->set_address({10, 0, 0, 1});
    r.mutable_delegated(0)->set_prefix_length(24);
  };
  const auto step = [](Request& r, api::AddPodStep value) { r.set_step(value); };
  const Row rows[] = {
      {"prepared", [&](Request& r) { step(r, api::ADD_POD_STEP_PREPARE); }, true},
      {"prepared with an address",
       [&](Request& r) {
         step(r, api::ADD_POD_STEP_PREPARE);
         delegate(r);
       },
       false},
      {"completed",
       [&](Request& r) {
         step(r, api::ADD_POD_STEP_COMPLETE);
         delegate(r);
       },
       true},
      {"completed without an address", [&](Request& r) { step(r, api::ADD_POD_STEP_COMPLETE); }, false},
      {"completed with a wish",
       [&](Request& r) {
         step(r, api::ADD_POD_STEP_COMPLETE);
         delegate(r);
         r.add_addresses({10, 0, 0, 2});
       },
       false},
      {"a step of the future", [&](Request& r) { step(r, static_cast<api::AddPodStep>(3)); }, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Request request = good();
    row.edit(request);
    auto checked = to_pod_request(request);
    EXPECT_EQ(checked.ok(), row.is_right);
    if (!checked) { EXPECT_TRUE(names(checked.error(), "step")) << checked.error().message; }
  }
}

TEST(Requests, a_pod_object_is_checked_as_kubernetes_does) {
  struct Row {
    const char* name;
    std::function<void(api::PodObject&)> change;
    const char* field;  // nullptr: it is right
  };
  const auto port = [](api::PodObject& o, const char* name, unsigned number, const char* protocol) {
    auto& p = *o.add_ports();
    p.set_name(name);
    p.set_port(number);
    p.set_protocol(protocol);
  };
  const auto label = [](api::PodObject& o, const std::string& key, const std::string& value) {
    o.mutable_labels()->insert({key, value});
  };
  const Row rows[] = {
      {"labels", [&](auto& o) { label(o, "app.kubernetes.io/name", "My_app.1"); }, nullptr},
      {"an empty value", [&](auto& o) { label(o, "app", ""); }, nullptr},
      {"two ports of no name",
       [&](auto& o) {
         port(o, "", 80, "TCP");
         port(o, "", 81, "SCTP");
       },
       nullptr},
      {"an empty key", [&](auto& o) { label(o, "", "x"); }, "labels"},
      {"a key of only a prefix", [&](auto& o) { label(o, "a.b/", "x"); }, "labels"},
      {"a prefix in capitals", [&](auto& o) { label(o, "A/b", "x"); }, "labels"},
      {"a value that ends with -", [&](auto& o) { label(o, "a", "x-"); }, "labels.a"},
      {"a value of 64", [&](auto& o) { label(o, "a", std::string(64, 'x')); }, "labels.a"},
      {"port 0", [&](auto& o) { port(o, "a", 0, "TCP"); }, "ports[0].port"},
      {"port 65536", [&](auto& o) { port(o, "a", 65536, "TCP"); }, "ports[0].port"},
      {"a protocol in small letters", [&](auto& o) { port(o, "a", 1, "tcp"); }, "ports[0].protocol"},
      {"a port name of digits", [&](auto& o) { port(o, "80", 80, "TCP"); }, "ports[0].name"},
      {"a port name twice",
       [&](auto& o) {
         port(o, "a", 1, "TCP");
         port(o, "a", 2, "TCP");
       },
       "ports[1].name"},
      {"no name", [](auto& o) { o.clear_name(); }, "name"},
      {"a namespace with a dot", [](auto& o) { o.set_namespace_("a.b"); }, "namespace"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    api::PodObject message;
    message.set_namespace_("default");
    message.set_name("web-0.a");
    row.change(message);
    auto object = to_pod_object(message);
    ASSERT_EQ(object.ok(), row.field == nullptr);
    if (!object) { EXPECT_TRUE(names(object.error(), row.field)) << object.error().message; }
  }
}

TEST(InterfaceName, fits_linux_and_tells_attachments_apart) {
  const AttachmentKey key{"net", "container", "eth0"};
  const std::string name = host_interface_name("millrace0", key);
  EXPECT_EQ(name.size(), 15u);
  EXPECT_TRUE(name.starts_with("mr")) << name;
  EXPECT_EQ(name, host_interface_name("millrace0", key)) << "the same after a restart";
  EXPECT_NE(name, host_interface_name("millrace1", key)) << "two instances on one node";
  EXPECT_NE(host_interface_name("m", {"a", "bc", "d"}), host_interface_name("m", {"ab", "c", "d"}));
  const net::Mac mac = mac_of("millrace0", key, "pod");
  EXPECT_FALSE(mac.is_multicast());
  EXPECT_EQ(mac.bytes[0] & 2, 2) << "locally administered";
  EXPECT_NE(mac, mac_of("millrace0", key, "host"));
}

}  // namespace
}  // namespace millrace::control::agent
