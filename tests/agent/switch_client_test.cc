// The resync logic, against a switch that keeps what Apply leaves it with.
#include "control/agent/switch_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/agent/recording_switch.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

using Names = std::vector<std::string>;
constexpr std::chrono::milliseconds kLong{5000};

api::PortSpec port(const std::string& name, const std::string& interface = "lo") {
  api::PortSpec spec;
  spec.set_name(name);
  spec.set_interface(interface);
  spec.set_mtu(1500);
  return spec;
}

class SwitchClientTest : public testing::Test {
 protected:
  SwitchClientTest() { gateway_.set_ipv4({10, 0, 0, 1}); }
  std::unique_ptr<RecordingSwitch> serve(const std::string& id) {
    return std::make_unique<RecordingSwitch>(socket_, id);
  }
  ScratchDirectory directory_;
  std::string socket_ = directory_.file("switch.sock");
  api::Gateway gateway_;
};

TEST_F(SwitchClientTest, brings_a_switch_into_the_desired_state) {
  auto the_switch = serve("one");
  SwitchClient client(socket_, gateway_, {port("host"), port("a")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->names(), (Names{"a", "host"}));
  EXPECT_EQ(the_switch->gateway().ipv4(), gateway_.ipv4());
  auto added = client.add_port(port("b"));
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_EQ(*added, 2u);
  ASSERT_TRUE(client.remove_port("a").ok());
  EXPECT_EQ(the_switch->names(), (Names{"b", "host"}));
  EXPECT_EQ(client.status().generation, 3u);
  EXPECT_EQ(the_switch->resyncs(), 1);
}

TEST_F(SwitchClientTest, applies_everything_again_to_a_new_switch) {
  auto the_switch = serve("one");
  SwitchClient client(socket_, gateway_, {port("host")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  ASSERT_TRUE(client.add_port(port("a")).ok());
  the_switch.reset();
  ASSERT_TRUE(client.wait_for(false, kLong));
  // Both with the switch away: a removal is remembered, an addition is refused at once.
  EXPECT_FALSE(client.remove_port("host").ok());
  const auto before = std::chrono::steady_clock::now();
  auto refused = client.add_port(port("b"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message.find("the switch is away"), std::string::npos) << refused.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(200));

  the_switch = serve("two");
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->names(), (Names{"a"}));
  EXPECT_EQ(client.status().generation, 1u) << "the new switch counts from the start";
}

TEST_F(SwitchClientTest, finds_a_switch_that_starts_later) {
  SwitchClient client(socket_, gateway_, {port("host")});
  client.start();
  EXPECT_FALSE(client.check_in_sync().ok());
  auto the_switch = serve("one");
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->names(), (Names{"host"}));
}

TEST_F(SwitchClientTest, costs_next_to_nothing_while_the_switch_is_away) {
  SwitchClient client(socket_, gateway_, {port("host")});
  client.start();
  const auto cpu_ms = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
  };
  const long before = cpu_ms();
  EXPECT_FALSE(client.wait_for(true, std::chrono::milliseconds(1500)));
  EXPECT_LT(cpu_ms() - before, 75) << "5 % of a core over 1.5 s";
}

TEST_F(SwitchClientTest, forgets_a_port_that_the_switch_refuses) {
  auto the_switch = serve("one");
  SwitchClient client(socket_, gateway_, {});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  the_switch->judge = [](const api::ApplyRequest&, api::ApplyReply&) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "ports: all 256 are in use");
  };
  auto refused = client.add_port(port("a"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_NE(refused.error().message.find("all 256"), std::string::npos);
  EXPECT_TRUE(client.status().in_sync);
  the_switch.reset();
  ASSERT_TRUE(client.wait_for(false, kLong));
  the_switch = serve("two");
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->names(), Names{});
}

TEST_F(SwitchClientTest, says_why_the_switch_refuses_everything_and_tries_again) {
  auto the_switch = serve("one");
  std::atomic<int> tries = 0;
  the_switch->judge = [&](const api::ApplyRequest&, api::ApplyReply&) {
    if (++tries > 2) return grpc::Status::OK;
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "upsert_ports[0].mtu: 9; allowed: 576..9000");
  };
  SwitchClient client(socket_, gateway_, {port("host")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(tries, 3);
}

TEST_F(SwitchClientTest, opens_ports_that_failed_once_their_interface_lets_it) {
  auto the_switch = serve("one");
  std::atomic<int> tries = 0;
  the_switch->judge = [&](const api::ApplyRequest& request, api::ApplyReply& reply) {
    if (request.replace_all()) {
      for (const char* name : {"busy", "gone"}) {
        auto& failure = *reply.add_failures();
        failure.set_name(name);
        failure.set_message("Device or resource busy");
      }
      return grpc::Status::OK;
    }
    EXPECT_EQ(request.upsert_ports(0).name(), "busy") << "one without its interface is not tried again";
    return ++tries < 2 ? grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "busy") : grpc::Status::OK;
  };
  SwitchClient client(socket_, gateway_, {port("busy", "lo"), port("gone", "no-such-if"), port("well")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_TRUE(the_switch->wait_until([](const auto& ports) { return ports.contains("busy"); }));
  EXPECT_EQ(the_switch->names(), (Names{"busy", "well"}));
  EXPECT_EQ(tries, 2);
}

TEST_F(SwitchClientTest, tells_of_a_port_that_is_not_open_until_it_is_or_goes) {
  auto the_switch = serve("one");
  the_switch->judge = [&](const api::ApplyRequest& request, api::ApplyReply& reply) {
    if (!request.replace_all()) return grpc::Status::OK;
    for (const api::PortSpec& each : request.upsert_ports()) {
      if (each.name() == "well") continue;
      auto& failure = *reply.add_failures();
      failure.set_name(each.name());
      failure.set_message("cannot be opened");
    }
    return grpc::Status::OK;
  };
  SwitchClient client(socket_, gateway_,
                      {port("away", "no-such-if"), port("gone", "no-such-if"), port("other", "no-such-if"),
                       port("tried", "lo"), port("well")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  ASSERT_TRUE(the_switch->wait_until([](const auto& ports) { return ports.contains("tried"); }));
  ASSERT_TRUE(client.remove_port("gone").ok());
  ASSERT_TRUE(client.replace_port(port("other")).ok());
  // The answer to the last try may be on its way.
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (client.status().message.find("tried") != std::string::npos && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_EQ(client.status().message, "away: cannot be opened");
  EXPECT_TRUE(client.status().in_sync);
}

TEST_F(SwitchClientTest, loses_no_port_that_is_added_while_the_switch_restarts) {
  auto the_switch = serve("0");
  SwitchClient client(socket_, gateway_, {port("host")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  std::atomic<bool> done = false;
  std::vector<std::string> answered = {"host"};
  std::thread adder([&] {
    for (int i = 0; !done; ++i) {
      const std::string name = fmt::format("p{}", i);
      if (client.add_port(port(name))) {
        answered.push_back(name);
      } else {
        static_cast<void>(client.remove_port(name));
        client.wait_for(true, std::chrono::milliseconds(100));
      }
    }
  });
  for (int round = 1; round <= 5; ++round) {
    EXPECT_TRUE(the_switch->wait_until([&](const auto& ports) { return ports.size() > 20u * unsigned(round); }));
    the_switch.reset();
    the_switch = serve(std::to_string(round));
  }
  done = true;
  adder.join();
  // Not wait_for(true): until the client has read the end of the stream, that is still said of the switch before. Only
  // a resync brings "host" to the last one.
  ASSERT_TRUE(the_switch->wait_until([](const auto& ports) { return ports.contains("host"); }));
  std::sort(answered.begin(), answered.end());
  EXPECT_EQ(the_switch->names(), answered);
}

api::Service service(const std::string& name, std::uint32_t affinity_seconds = 0) {
  api::Service made;
  made.set_name(name);
  made.set_affinity_seconds(affinity_seconds);
  return made;
}

TEST_F(SwitchClientTest, services_and_masquerade_are_part_of_the_desired_state) {
  auto the_switch = serve("one");
  SwitchClient client(socket_, gateway_, {});
  api::Nat nat;
  nat.set_masquerade_ipv4(std::string("\xc0\x00\x02\x01", 4));
  client.set_nat(nat);
  EXPECT_FALSE(client.update_services({service("a"), service("b")}, {}).ok()) << "not connected yet";
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->service_names(), (Names{"a", "b"}));
  EXPECT_EQ(the_switch->nat().masquerade_ipv4(), nat.masquerade_ipv4());
  ASSERT_TRUE(client.update_services({service("c")}, {"a"}).ok());
  EXPECT_EQ(the_switch->service_names(), (Names{"b", "c"}));
  the_switch.reset();
  ASSERT_TRUE(client.wait_for(false, kLong));
  auto away = client.update_services({service("d")}, {"b"});
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.error().code, net::ErrorCode::kUnavailable);
  the_switch = serve("two");
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->service_names(), (Names{"c", "d"}));
  EXPECT_EQ(the_switch->nat().masquerade_ipv4(), nat.masquerade_ipv4());
}

TEST_F(SwitchClientTest, a_service_that_the_switch_refuses_keeps_no_other_back) {
  const auto no_bad_one = [](const api::ApplyRequest& request, api::ApplyReply&) {
    for (const api::Service& each : request.upsert_services()) {
      if (each.name().starts_with("bad")) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, each.name());
    }
    return grpc::Status::OK;
  };
  auto the_switch = serve("one");
  the_switch->judge = no_bad_one;
  SwitchClient client(socket_, gateway_, {port("host")});
  EXPECT_FALSE(client.update_services({service("a"), service("bad-1"), service("b"), service("c")}, {}).ok());
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->service_names(), (Names{"a", "b", "c"})) << "a resync";
  EXPECT_EQ(the_switch->names(), Names{"host"});
  auto refused = client.update_services({service("d"), service("bad-2"), service("e")}, {"a"});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("bad-2"), std::string::npos);
  EXPECT_EQ(the_switch->service_names(), (Names{"b", "c", "d", "e"})) << "a change";
  EXPECT_TRUE(client.status().in_sync);
}

TEST_F(SwitchClientTest, sends_ten_thousand_services_in_one_message) {
  auto the_switch = serve("one");
  SwitchClient client(socket_, gateway_, {});
  std::vector<api::Service> services;
  for (int i = 0; i < 10'000; ++i) {
    services.push_back(service(fmt::format("namespace/service-{}:https", i)));
    for (int set = 0; set < 2; ++set) {
      api::BackendSet& backends = *services.back().add_backend_sets();
      for (int k = 0; k < 10; ++k) {
        backends.add_backends()->set_address(std::string(16, static_cast<char>(k + 1)));
        backends.mutable_backends(k)->set_port(8443);
      }
    }
  }
  EXPECT_FALSE(client.update_services(services, {}).ok());
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_EQ(the_switch->service_names().size(), 10'000u);
  EXPECT_EQ(the_switch->resyncs(), 1) << "in one piece";
}

TEST_F(SwitchClientTest, check_tells_what_differs) {
  auto the_switch = serve("one");
  SwitchClient client(socket_, gateway_, {port("a")});
  client.start();
  ASSERT_TRUE(client.wait_for(true, kLong));
  EXPECT_TRUE(client.check_port("a").ok());
  EXPECT_EQ(client.check_port("b").error().code, net::ErrorCode::kFailedPrecondition);
  the_switch->lose("a");
  EXPECT_EQ(client.check_port("a").error().message, "the switch has no port a");
}

}  // namespace
}  // namespace millrace::control::agent
