// What `pod add` takes and what it refuses, with the words of the refusal.
#include "control/cli/pod_spec.h"

#include <gtest/gtest.h>

namespace millrace::control::cli {
namespace {

struct Refused {
  const char* name;
  PodWords words;
  std::string begins;  // of the error
};

const std::string kLong(254, 'a');

TEST(PodSpec, RefusesWithTheOptionAndTheValue) {
  const std::vector<Refused> rows = {
      {"no name", {.name = ""}, "NAME: \"\" is not a pod's name; allowed: "},
      {"capitals", {.name = "Web"}, "NAME: \"Web\" is not a pod's name"},
      {"a way out of the directory", {.name = "../etc"}, "NAME: \"../etc\" is not a pod's name"},
      {"underscore", {.name = "a_b"}, "NAME: \"a_b\" is not"},
      {"dash at the end", {.name = "a-"}, "NAME: \"a-\" is not"},
      {"two dots", {.name = "a..b"}, "NAME: \"a..b\" is not"},
      {"254 characters", {.name = kLong}, "NAME: \"" + kLong + "\" is not"},
      {"namespace with a dot", {.name = "a", .name_space = "b.c"}, "--namespace: \"b.c\" is not a namespace's name"},
      {"label without =", {.name = "a", .labels = {"app"}}, "--label: \"app\" has no '='"},
      {"label without key", {.name = "a", .labels = {"=x"}}, "--label: \"=x\" has a key"},
      {"label key with a bad prefix", {.name = "a", .labels = {"Ex.com/app=x"}}, "--label: \"Ex.com/app=x\" has a key"},
      {"label value with a space", {.name = "a", .labels = {"app=x y"}}, "--label: \"app=x y\" has a value"},
      {"label value of 64 characters", {.name = "a", .labels = {"app=" + std::string(64, 'x')}}, "--label: \"app="},
      {"label twice", {.name = "a", .labels = {"app=x", "app=y"}}, "--label: \"app=y\" gives a key a second time"},
      {"port 0", {.name = "a", .ports = {"0"}}, "--port: \"0\" has no port number; allowed: [NAME:]PORT"},
      {"port 65536", {.name = "a", .ports = {"http:65536/tcp"}}, "--port: \"http:65536/tcp\" has no port number"},
      {"port with a tail", {.name = "a", .ports = {"80x"}}, "--port: \"80x\" has no port number"},
      {"port name of digits", {.name = "a", .ports = {"80:80"}}, "--port: \"80:80\" has a name"},
      {"port name of 16 characters",
       {.name = "a", .ports = {"abcdefghijklmnop:80"}},
       "--port: \"abcdefghijklmnop:80\" has"},
      {"port name with two dashes", {.name = "a", .ports = {"a--b:80"}}, "--port: \"a--b:80\" has a name"},
      {"protocol", {.name = "a", .ports = {"80/icmp"}}, "--port: \"80/icmp\" has a protocol that is not known"},
      {"port twice", {.name = "a", .ports = {"80", "80/TCP"}}, "--port: \"80/TCP\" gives a port a second time"},
      {"port name twice", {.name = "a", .ports = {"x:80", "x:81"}}, "--port: \"x:81\" gives a name a second time"},
      {"address with a length", {.name = "a", .addresses = {"10.0.0.1/24"}}, "--ip: \"10.0.0.1/24\" is not an address"},
      {"two of a family",
       {.name = "a", .addresses = {"10.0.0.1", "10.0.0.2"}},
       "--ip: \"10.0.0.2\" is a second address"},
      {"multicast MAC", {.name = "a", .mac = "01:00:00:00:00:01"}, "--mac: \"01:00:00:00:00:01\" is not a station's"},
      {"type", {.name = "a", .type = "tap"}, "--type: \"tap\" is no type of a port; allowed: kernel, vhost-user"},
      {"listener of a kernel interface", {.name = "a", .vhost_listener = "pod"}, "--vhost-listener: \"pod\" cannot be"},
      {"listener",
       {.name = "a", .type = "vhost-user", .vhost_listener = "qemu"},
       "--vhost-listener: \"qemu\" cannot be; allowed: switch or pod"},
      {"65 queues",
       {.name = "a", .type = "vhost-user", .vhost_queues = "65"},
       "--vhost-queues: \"65\" cannot be; allowed: 1..64"},
      {"queues with a tail", {.name = "a", .type = "vhost-user", .vhost_queues = "4x"}, "--vhost-queues: \"4x\""},
      {"queues of a kernel interface",
       {.name = "a", .type = "kernel", .vhost_queues = "4"},
       "--vhost-queues: \"4\" cannot be"},
  };
  for (const Refused& row : rows) {
    SCOPED_TRACE(row.name);
    const auto spec = parse_pod(row.words);
    ASSERT_FALSE(spec.ok());
    EXPECT_EQ(spec.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_EQ(spec.error().message.substr(0, row.begins.size()), row.begins);
    EXPECT_NE(spec.error().message.find("; allowed: "), std::string::npos);
  }
}

TEST(PodSpec, TellsThePluginThePort) {
  EXPECT_EQ(parse_pod({.name = "a"})->port_args, "");
  EXPECT_EQ(parse_pod({.name = "a", .type = "kernel"})->port_args, "MILLRACE_PORT_TYPE=kernel");
  EXPECT_EQ(parse_pod({.name = "a", .type = "vhost-user", .vhost_listener = "pod", .vhost_queues = "4"})->port_args,
            "MILLRACE_PORT_TYPE=vhost-user;MILLRACE_VHOST_LISTENER=pod;MILLRACE_VHOST_QUEUES=4");
}

TEST(PodSpec, TakesWhatKubernetesTakes) {
  const auto spec = parse_pod({.name = "web-1.example",
                               .name_space = "team-a",
                               .labels = {"app=web", "example.com/tier=front_1", "empty="},
                               .ports = {"http:80/tcp", "dns:53/UDP", "9000", "53/tcp"},
                               .addresses = {"10.244.0.9", "FD00::9"},
                               .mac = "02:AA:00:00:00:09"});
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->object.namespace_(), "team-a");
  EXPECT_EQ(spec->object.labels().at("example.com/tier"), "front_1");
  EXPECT_EQ(spec->object.labels().at("empty"), "");
  ASSERT_EQ(spec->object.ports_size(), 4);
  EXPECT_EQ(spec->object.ports(1).ShortDebugString(), "name: \"dns\" port: 53 protocol: \"UDP\"");
  EXPECT_EQ(spec->object.ports(2).ShortDebugString(), "port: 9000 protocol: \"TCP\"");
  EXPECT_EQ(spec->addresses, (std::vector<std::string>{"10.244.0.9", "fd00::9"}));
  EXPECT_EQ(spec->mac, "02:aa:00:00:00:09");
}

}  // namespace
}  // namespace millrace::control::cli
