// Packets as they are told to those who watch, over the socket: names, filters, who loses what, and how a watch ends.
#include "control/switch/event_hub.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/switch/packet_world.h"

namespace millrace::control::switchd {
namespace {

using grpc::StatusCode;

api::WatchPacketsRequest drops(const std::vector<std::string>& ports = {}) {
  api::WatchPacketsRequest request;
  request.set_drops(true);
  for (const std::string& port : ports) request.add_drop_ports(port);
  return request;
}

api::WatchPacketsRequest traced(const std::string& port) {
  api::WatchPacketsRequest request;
  request.add_trace_ports(port);
  return request;
}

/// A watch that has begun.
class Watch {
 public:
  Watch(api::Switch::Stub& stub, const api::WatchPacketsRequest& request) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    stream_ = stub.WatchPackets(&context_, request);
    has_begun_ = stream_->Read(&message_);
  }
  bool has_begun() const { return has_begun_ && message_.events_size() == 0; }
  /// Waits for the next event.
  api::PacketEvent next() {
    while (at_ >= message_.events_size()) {
      at_ = 0;
      if (!stream_->Read(&message_)) return {};
    }
    return message_.events(at_++);
  }
  /// Waits until the switch ends it.
  grpc::Status end() {
    while (stream_->Read(&message_)) {}
    return stream_->Finish();
  }
  void leave() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<api::PacketEvents>> stream_;
  api::PacketEvents message_;
  int at_ = 0;
  bool has_begun_ = false;
};

class EventHubTest : public PacketWorld {
 protected:
  void send_stray(const std::string& name, const std::string& address) {
    send(name, from(name).ipv4(address, "10.96.0.99").udp(5000, 53).bytes());
  }
  void send_to_server(std::uint16_t port) {
    send("client", from("client").ipv4("10.0.0.1", "10.0.0.2").tcp(4000, port, net::TcpHeader::kSyn).bytes());
  }
};

TEST_F(EventHubTest, ADropIsToldWithEverybodysName) {
  Watch watch(*stub_, drops());
  ASSERT_TRUE(watch.has_begun());
  send_stray("client", "10.0.0.1");
  const api::PacketEvent event = watch.next();
  EXPECT_EQ(event.drop(), "service_no_frontend");
  EXPECT_EQ(event.drop_text(), "an address of the service range that no service has");
  EXPECT_EQ(event.in().name(), "client");
  EXPECT_EQ(event.in().description(), "ns/client");
  EXPECT_EQ(event.source(), "ns/client");
  EXPECT_EQ(event.destination(), "");
  EXPECT_EQ(event.protocol(), 17u);
  EXPECT_EQ(event.arrived().source(), bytes_of("10.0.0.1"));
  EXPECT_EQ(event.arrived().destination(), bytes_of("10.96.0.99"));
  EXPECT_EQ(event.arrived().destination_port(), 53u);
  EXPECT_FALSE(event.has_left());
  EXPECT_EQ(event.generation(), sw_.state->generation());
  EXPECT_EQ(event.policies_size(), 0);
}

TEST_F(EventHubTest, ADropByPolicyNamesWhoseItWasAndTheObjects) {
  api::ApplyRequest request;
  *request.add_upsert_policies() = policy_of("allow-81", {rule(0, {}, {81})});
  *request.add_upsert_policies() = policy_of("deny", {});
  *request.add_upsert_port_policies() = port_policy("server", {"allow-81", "deny"});
  change(request);
  Watch watch(*stub_, drops());
  ASSERT_TRUE(watch.has_begun());
  send_to_server(80);
  api::PacketEvent event = watch.next();
  EXPECT_EQ(event.drop(), "policy_ingress");
  EXPECT_EQ(event.in().name(), "client");
  EXPECT_EQ(event.out().description(), "ns/server");
  EXPECT_EQ(event.destination(), "ns/server");
  ASSERT_EQ(event.policies_size(), 2);
  EXPECT_EQ(event.policies(0), "ns/allow-81");
  EXPECT_EQ(event.policies(1), "ns/deny");

  api::ApplyRequest egress;
  *egress.add_upsert_port_policies() = port_policy("client", {}, {"deny"});
  change(egress);
  send_to_server(81);
  event = watch.next();
  EXPECT_EQ(event.drop(), "policy_egress");
  EXPECT_EQ(event.out().name(), "client");
  ASSERT_EQ(event.policies_size(), 1);
  EXPECT_EQ(event.policies(0), "ns/deny");
}

TEST_F(EventHubTest, DropsOfOnePortAreItsOwnAndThoseItsPoliciesRefuse) {
  api::ApplyRequest request;
  *request.add_upsert_policies() = policy_of("deny", {});
  *request.add_upsert_port_policies() = port_policy("server", {"deny"});
  change(request);
  Watch watch(*stub_, drops({"server"}));
  ASSERT_TRUE(watch.has_begun());
  send_stray("client", "10.0.0.1");
  send_to_server(80);
  EXPECT_EQ(watch.next().drop(), "policy_ingress");
  send_stray("client", "10.0.0.1");
  send_stray("server", "10.0.0.2");
  EXPECT_EQ(watch.next().in().name(), "server");
}

TEST_F(EventHubTest, APortThatIsAddedWhileDropsAreWatchedIsAmongThem) {
  Watch watch(*stub_, drops());
  ASSERT_TRUE(watch.has_begun());
  change(upsert({described_pod("late", "10.0.0.9")}));
  send_stray("late", "10.0.0.9");
  EXPECT_EQ(watch.next().in().description(), "ns/late");
}

TEST_F(EventHubTest, ATracedPortsPacketsAreToldBothWaysWithTheirTranslation) {
  Watch watch(*stub_, traced("client"));
  ASSERT_TRUE(watch.has_begun());
  send("client", from("client").ipv4("10.0.0.1", "10.96.0.1").tcp(4000, 80, net::TcpHeader::kSyn).bytes());
  send("server", from("server").ipv4("10.0.0.2", "10.0.0.1").tcp(8080, 4000, 0x12).bytes());
  send("server", from("server").ipv4("10.0.0.2", "198.51.100.1").udp(1, 2).bytes());  // nobody asked for it
  send_stray("client", "10.0.0.1");
  const api::PacketEvent question = watch.next();
  EXPECT_EQ(question.drop(), "");
  EXPECT_EQ(question.service(), "default/web");
  EXPECT_EQ(question.arrived().destination(), bytes_of("10.96.0.1"));
  EXPECT_EQ(question.left().destination(), bytes_of("10.0.0.2"));
  EXPECT_EQ(question.left().destination_port(), 8080u);
  EXPECT_EQ(question.out().name(), "server");
  EXPECT_FALSE(question.is_reply());
  api::PacketEvent event = watch.next();
  // It passes the server's worker, too, as it came from the client's.
  if (event.stage() == api::PACKET_STAGE_FORWARDED) event = watch.next();
  while (event.in().name() == "client" && event.drop().empty()) event = watch.next();
  EXPECT_EQ(event.in().name(), "server");
  EXPECT_TRUE(event.is_reply());
  EXPECT_EQ(event.out().name(), "client");
  while (event.drop().empty()) event = watch.next();
  EXPECT_EQ(event.in().name(), "client");
  EXPECT_EQ(event.drop(), "service_no_frontend");
}

TEST_F(EventHubTest, ATracedPortThatGoesEndsTheWatch) {
  Watch watch(*stub_, traced("client"));
  ASSERT_TRUE(watch.has_begun());
  change(remove({"client"}));
  const grpc::Status status = watch.end();
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "port \"client\" is gone");
  EXPECT_EQ(events_->watch_count(), 0u);
}

TEST_F(EventHubTest, TheSwitchsEndIsTheWatchs) {
  Watch watch(*stub_, drops());
  ASSERT_TRUE(watch.has_begun());
  stop();
  EXPECT_EQ(watch.end().error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(EventHubTest, WhatCannotBeWatchedIsRefusedByField) {
  api::WatchPacketsRequest many = traced("client");
  for (int i = 0; i < kWatchedPortLimit; ++i) many.add_trace_ports(fmt::format("p{}", i));
  api::WatchPacketsRequest filter_alone = traced("client");
  filter_alone.add_drop_ports("server");
  struct Row {
    api::WatchPacketsRequest request;
    StatusCode code;
    std::string text;
  };
  const std::vector<Row> rows = {
      {{}, StatusCode::INVALID_ARGUMENT, "drops, trace_ports: neither; allowed: one of them or both"},
      {filter_alone, StatusCode::INVALID_ARGUMENT, "drop_ports: given without drops; allowed: with it"},
      {many, StatusCode::INVALID_ARGUMENT, "trace_ports: 17 entries; allowed: at most 16"},
      {traced("nobody"), StatusCode::NOT_FOUND, "trace_ports[0]: there is no port \"nobody\""},
  };
  for (const Row& row : rows) {
    Watch watch(*stub_, row.request);
    EXPECT_FALSE(watch.has_begun());
    const grpc::Status status = watch.end();
    EXPECT_EQ(status.error_code(), row.code) << row.text;
    EXPECT_EQ(status.error_message(), row.text);
  }
}

TEST_F(EventHubTest, OneWatcherTooManyIsRefusedUntilAnotherLeaves) {
  std::vector<std::unique_ptr<Watch>> watches;
  for (std::size_t i = 0; i < kPacketWatchLimit; ++i) {
    watches.push_back(std::make_unique<Watch>(*stub_, drops()));
    ASSERT_TRUE(watches.back()->has_begun());
  }
  const grpc::Status refused = Watch(*stub_, drops()).end();
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.error_message(), "16 clients watch packets already; allowed: 16");
  watches.back()->leave();
  EXPECT_EQ(watches.back()->end().error_code(), StatusCode::CANCELLED);
  while (events_->watch_count() == kPacketWatchLimit) std::this_thread::yield();
  EXPECT_TRUE(Watch(*stub_, drops()).has_begun());
}

TEST(PacketWatch, CountsWhatASlowReaderLoses) {
  PacketWatch watch(PacketFilter{.drops = true, .drop_ports = {}, .trace_ports = {}}, {});
  api::PacketEvents message;
  ASSERT_TRUE(watch.take(message));
  EXPECT_FALSE(watch.take(message)) << "after the first there is none before an event";
  for (std::size_t i = 0; i < kWatchQueueEvents + 5; ++i) {
    api::PacketEvent event;
    event.set_worker(static_cast<std::uint32_t>(i));
    watch.put(event);
  }
  watch.lose(2);
  std::size_t taken = 0;
  std::uint64_t lost = 0;
  while (watch.take(message)) {
    for (const api::PacketEvent& event : message.events()) EXPECT_EQ(event.worker(), taken++);
    lost += message.lost();
  }
  EXPECT_EQ(taken, kWatchQueueEvents) << "the oldest, in order";
  EXPECT_EQ(lost, 7u);
}

}  // namespace
}  // namespace millrace::control::switchd
