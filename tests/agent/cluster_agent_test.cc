// A whole agent with `store: etcd`, over its socket, with Debian's etcd and the real kernel; the switch is a recording
// one. The program runs in a network namespace of its own (tests/etcd/main.cc), which is the node; needs root, else it
// skips.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "control/agent/agent.h"
#include "control/agent/cluster/records.h"
#include "control/agent/sysctl.h"
#include "control/api/agent.grpc.pb.h"
#include "control/netlink/netlink.h"
#include "tests/agent/recording_switch.h"
#include "tests/agent/scratch.h"
#include "tests/etcd/server.h"

namespace millrace::control::agent {
namespace {

using std::chrono::milliseconds;

std::string text_of(const std::string& bytes) {
  const auto address = net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return address ? address->to_string() : "?";
}

/// What an agent tells its switch of the other nodes.
class Tunnels {
 public:
  grpc::Status note(const api::ApplyRequest& request, api::ApplyReply&) {
    const std::lock_guard guard(mutex_);
    if (request.replace_all()) tunnels_.clear();
    if (request.has_underlay()) underlay_ = request.underlay();
    for (const std::string& name : request.remove_tunnels()) tunnels_.erase(name);
    for (const api::Tunnel& tunnel : request.upsert_tunnels()) tunnels_[tunnel.name()] = tunnel;
    return grpc::Status::OK;
  }
  void forget() {
    const std::lock_guard guard(mutex_);
    tunnels_.clear();
  }
  /// "node-b 192.0.2.2: 10.9.2.0/24 192.0.2.2/32"
  std::vector<std::string> texts() const {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> texts;
    for (const auto& [name, tunnel] : tunnels_) {
      texts.push_back(fmt::format("{} {}:", name, text_of(tunnel.remote())));
      for (const api::RoutePrefix& prefix : tunnel.prefixes()) {
        texts.back() += fmt::format(" {}/{}", text_of(prefix.address()), prefix.length());
      }
    }
    return texts;
  }
  api::Underlay underlay() const {
    const std::lock_guard guard(mutex_);
    return underlay_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, api::Tunnel> tunnels_;
  api::Underlay underlay_;
};

const std::string kOther = "node-b 192.0.2.2: 10.9.77.0/24 192.0.2.2/32";

class ClusterAgent : public testing::Test {
 protected:
  void SetUp() override {
    auto netlink = netlink::Netlink::open();
    if (!netlink || netlink->link("eth0").ok() ||
        !netlink
             ->add_veth({"up0", *net::Mac::parse("02:00:00:00:00:01")}, {"up1", *net::Mac::parse("02:00:00:00:00:02")},
                        -1, 1500)
             .ok()) {
      GTEST_SKIP() << "needs a network namespace of its own";
    }
    for (const char* name : {"up0", "up1"}) ASSERT_TRUE(netlink->set_up(netlink->link(name)->index).ok());
    ASSERT_TRUE(netlink->add_address(netlink->link("up0")->index, *net::IpAddress::parse("192.0.2.1")).ok());
    server_ = etcd::start_server();
    configure("");
    switch_ = std::make_unique<RecordingSwitch>(
        config_.switch_socket(), "one",
        [this](const api::ApplyRequest& request, api::ApplyReply& reply) { return tunnels_.note(request, reply); });
  }
  void TearDown() override {
    agent_.reset();
    switch_.reset();
    ASSERT_TRUE(clean_up(config_, true).ok());
    EXPECT_TRUE(netlink::remove_link_if_there("up0").ok());
  }
  void configure(const std::string& more) {
    auto parsed = config::parse(
        fmt::format("runtimeDir: {}\nstateDir: {}\nnodeName: node-a\nhostPort: millrace9\nuplink: up0\nstore: etcd\n"
                    "etcd: {{endpoints: [\"{}\"], leaseSeconds: 5}}\n"
                    "ipam: {{ipv4: {{pool: 10.9.0.0/16}}, ipv6: {{pool: none}}}}\n{}",
                    directory_.file("run"), directory_.file("state"), server_->url(), more),
        "test");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    config_ = *parsed;
  }
  void start() {
    agent_.reset();
    auto started = Agent::start(config_);
    ASSERT_TRUE(started.ok()) << started.error().message;
    agent_ = *std::move(started);
  }
  std::unique_ptr<api::Agent::Stub> stub() { return api::Agent::NewStub(api::open_channel(config_.agent_socket())); }
  api::AgentStatus status() {
    grpc::ClientContext context;
    api::AgentStatus reply;
    stub()->GetStatus(&context, api::AgentStatusRequest(), &reply);
    return reply;
  }
  std::map<std::string, api::Node> nodes() {
    grpc::ClientContext context;
    api::ListNodesReply reply;
    EXPECT_TRUE(stub()->ListNodes(&context, api::ListNodesRequest(), &reply).ok());
    std::map<std::string, api::Node> nodes;
    for (const api::Node& node : reply.nodes()) nodes[node.name()] = node;
    return nodes;
  }
  /// Another node, as its agent would say it. `lease`: etcdctl's words, {} for one without end.
  void put_other(const std::vector<std::string>& lease = {}) {
    const cluster::NodeRecord record{.name = "node-b",
                                     .addresses = {*net::IpAddress::parse("192.0.2.2")},
                                     .vtep_mac = *net::Mac::parse("02:00:00:00:00:0b"),
                                     .instance = "b",
                                     .epoch = 1,
                                     .version = "0.1.0"};
    server_->ctl({"put", "/millrace/v1/blocks/4/10.9.77.0-24",
                  print(cluster::BlockRecord{"node-b", "b", cluster::BlockState::kHeld})});
    std::vector<std::string> words = {"put", "/millrace/v1/nodes/node-b", print(record)};
    words.insert(words.end(), lease.begin(), lease.end());
    server_->ctl(words);
  }
  static bool has_route(const std::string& prefix) {
    auto netlink = netlink::Netlink::open();
    const auto link = netlink->link("millrace9");
    const auto routes = netlink->routes(link ? link->index : 0, 4);
    return routes &&
           std::ranges::find(*routes, *net::Prefix::parse(prefix), &netlink::LinkRoute::destination) != routes->end();
  }
  /// Waits for what other threads and etcd bring about.
  static bool comes_true(const std::function<bool()>& what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!what()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return true;
  }

  ScratchDirectory directory_;
  config::Config config_;
  Tunnels tunnels_;
  std::unique_ptr<etcd::Server> server_;
  std::unique_ptr<RecordingSwitch> switch_;
  std::unique_ptr<Agent> agent_;
};

TEST_F(ClusterAgent, a_node_that_comes_is_a_tunnel_and_a_route_until_its_lease_ends) {
  start();
  EXPECT_TRUE(comes_true([&] { return status().member(); }));
  EXPECT_EQ(status().mtu(), 1450u) << "the uplink's 1500 less VXLAN's 50";
  EXPECT_EQ(text_of(tunnels_.underlay().ipv4()), "192.0.2.1");
  ASSERT_EQ(tunnels_.underlay().local_prefixes_size(), 1);
  EXPECT_TRUE(nodes()["node-a"].ready());

  std::string granted = server_->ctl({"lease", "grant", "5"});  // "lease 694d... granted with TTL(5s)"
  put_other({"--lease=" + granted.substr(6, granted.find(' ', 6) - 6)});
  EXPECT_TRUE(comes_true([&] { return tunnels_.texts() == std::vector{kOther}; }));
  EXPECT_TRUE(comes_true([&] { return has_route("10.9.77.0/24"); }));
  EXPECT_TRUE(nodes()["node-b"].ready());

  EXPECT_TRUE(comes_true([&] { return tunnels_.texts().empty(); })) << "its lease has ended";
  EXPECT_TRUE(comes_true([&] { return !has_route("10.9.77.0/24"); }));
  EXPECT_FALSE(nodes()["node-b"].ready());
  EXPECT_EQ(nodes()["node-b"].blocks(0), "10.9.77.0/24") << "its block is still its own";
}

TEST_F(ClusterAgent, what_was_known_is_known_when_it_starts_while_etcd_is_away) {
  put_other();
  start();
  ASSERT_TRUE(comes_true([&] { return tunnels_.texts() == std::vector{kOther}; }));
  const auto blocks = nodes()["node-a"].blocks();
  agent_.reset();
  switch_.reset();
  server_->kill();
  tunnels_.forget();
  switch_ = std::make_unique<RecordingSwitch>(
      config_.switch_socket(), "two",
      [this](const api::ApplyRequest& request, api::ApplyReply& reply) { return tunnels_.note(request, reply); });
  start();
  EXPECT_TRUE(comes_true([&] { return tunnels_.texts() == std::vector{kOther}; }));
  EXPECT_TRUE(has_route("10.9.77.0/24"));
  EXPECT_EQ(nodes()["node-a"].blocks().at(0), blocks.at(0));
  EXPECT_TRUE(nodes()["node-b"].ready()) << "as far as is known";
  EXPECT_FALSE(status().store_connected());
  EXPECT_NE(status().store_message(), "");
}

TEST_F(ClusterAgent, a_first_start_without_etcd_says_what_it_waits_for_and_goes_on) {
  server_->kill();
  std::atomic<bool> is_ended = false;
  std::thread starting([&] {
    auto started = Agent::start(config_, [&](milliseconds) {
      std::this_thread::sleep_for(milliseconds(50));
      return is_ended.load();
    });
    EXPECT_TRUE(started.ok());
    if (started) agent_ = *std::move(started);
  });
  EXPECT_TRUE(comes_true([&] { return status().message().find("no address block yet") != std::string::npos; }));
  grpc::ClientContext context;
  api::AddPodReply reply;
  EXPECT_EQ(stub()->AddPod(&context, api::AddPodRequest(), &reply).error_code(), grpc::StatusCode::UNAVAILABLE);
  server_->start();
  EXPECT_TRUE(comes_true([&] { return status().member(); }));
  is_ended = true;
  starting.join();
  ASSERT_NE(agent_, nullptr);
  EXPECT_EQ(nodes()["node-a"].blocks_size(), 1);
}

TEST_F(ClusterAgent, what_cannot_work_is_refused_with_the_key) {
  configure("mtu: 1451\n");
  const auto too_large = Agent::start(config_);
  ASSERT_FALSE(too_large.ok());
  EXPECT_NE(too_large.error().message.find("mtu: 1451 does not fit: the uplink takes 1500"), std::string::npos)
      << too_large.error().message;
  configure("");
  auto netlink = netlink::Netlink::open();
  ASSERT_TRUE(netlink->remove_address(netlink->link("up0")->index, *net::IpAddress::parse("192.0.2.1")).ok());
  const auto started = Agent::start(config_);
  ASSERT_FALSE(started.ok());
  EXPECT_NE(started.error().message.find("uplink: up0 has no address for other nodes to reach"), std::string::npos)
      << started.error().message;
}

}  // namespace
}  // namespace millrace::control::agent
