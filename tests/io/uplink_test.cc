// An uplink on a real veth pair: what is the switch's is taken, all else reaches the node's own kernel.
#include "datapath/io/uplink_program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <set>

#include "datapath/io/receive_queues.h"
#include "tests/io/port_rig.h"
#include "tests/net/packet_builder.h"
#include "tests/net/uplink_rows.h"

namespace millrace::datapath::io {
namespace {

using tests::eth;
using tests::Frame;

using namespace tests::uplink;

constexpr std::uint8_t kSyn = net::TcpHeader::kSyn;

UplinkFrontend frontend(const char* address, std::uint8_t protocol, std::uint16_t port) {
  return {net::IpAddress::parse(address).value(), protocol, port};
}

UplinkRules rules() {
  UplinkRules made;
  made.masquerade_v4 = net::Ipv4::parse(kNode).value();
  made.masquerade_v6 = net::Ipv6::parse(kNode6).value();
  made.ports = {kFirstPort, 65536u - kFirstPort};
  made.frontends = {frontend(kNode, 6, 30500), frontend(kExternal, 17, 53), frontend(kNode6, 6, 30500)};
  made.vtep_v4 = net::Ipv4::parse(kVtep).value();
  made.vtep_v6 = net::Ipv6::parse(kVtep6).value();
  made.vtep_port = kVtepPort;
  made.local_prefixes = {net::Prefix::parse(kLocalPrefix).value(), net::Prefix::parse(kLocalPrefix6).value()};
  return made;
}

/// What the kernel's stack gets on an interface: a packet that XDP took is never seen here.
class KernelTap {
 public:
  explicit KernelTap(const std::string& interface)
      : descriptor_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("tap");
  }
  ~KernelTap() { ::close(descriptor_); }
  KernelTap(const KernelTap&) = delete;
  KernelTap& operator=(const KernelTap&) = delete;

  /// True when `frame` is among what came since the last call.
  bool saw(const Frame& frame) const {
    std::array<std::uint8_t, 2048> buffer{};
    for (;;) {
      const ssize_t bytes = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
      if (bytes < 0) return false;
      if (Frame(buffer.data(), buffer.data() + bytes) == frame) return true;
    }
  }

 private:
  int descriptor_;
};

class Uplink : public testing::Test {
 protected:
  void SetUp() override {
    MILLRACE_NEEDS_ROOT();
    auto loaded = UplinkProgram::load();
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    program_ = std::move(loaded).value();
    world_ = std::make_unique<tests::Pod>("h0");
    pool_ = tests::make_pool(1024);
    AfXdpOptions options;
    options.interface = "h0";
    options.program = program_->program();
    options.this_program_only = true;
    auto port = AfXdpPort::open(*pool_, options);
    ASSERT_TRUE(port.ok()) << port.error().message;
    port_ = std::move(port).value();
    tap_ = std::make_unique<KernelTap>("h0");
    socket_ = std::make_unique<tests::RawSocket>(*world_);
    const auto widened = program_->widen(rules());
    ASSERT_TRUE(widened.ok()) << widened.error().message;
  }

  /// "switch", "kernel", or "nobody" when neither has it in time.
  /// `seen`: what the kernel makes of it.
  std::string taker(const Frame& frame, const Frame& seen) {
    if (!socket_->send(frame)) return "not sent";
    std::string by = "nobody";
    tests::step_until(
        [&] {
          std::array<net::Packet*, kBurst> burst;
          const unsigned count = port_ == nullptr ? 0 : port_->receive(burst);
          for (unsigned i = 0; i < count; ++i) {
            if (Frame(burst[i]->data, burst[i]->data + burst[i]->length_bytes) == frame) by = "switch";
          }
          if (count > 0) pool_->release({burst.data(), count});
          if (tap_->saw(seen)) by = "kernel";
        },
        [&] { return by != "nobody"; });
    return by;
  }

  std::string taker(const Frame& frame) { return taker(frame, frame); }

  std::unique_ptr<UplinkProgram> program_;
  std::unique_ptr<tests::Pod> world_;
  std::unique_ptr<MbufPool> pool_;
  std::unique_ptr<AfXdpPort> port_;
  std::unique_ptr<KernelTap> tap_;
  std::unique_ptr<tests::RawSocket> socket_;
};

TEST_F(Uplink, TakesWhatIsTheSwitchsAndLeavesTheRestToTheKernel) {
  for (const Row& row : tests::uplink::rows()) EXPECT_EQ(taker(row.frame), row.taker) << row.name;
}

TEST_F(Uplink, APacketOfAVlanIsNotOfThisNetwork) {
  // The kernel keeps the tag beside the packet: what it shows is the frame that without a tag would be taken.
  const Frame untagged = eth().ipv4(kWorld, kNode).udp(53, 40960).bytes();
  EXPECT_EQ(taker(eth().vlan(7).ipv4(kWorld, kNode).udp(53, 40960).bytes(), untagged), "kernel");
  EXPECT_EQ(taker(untagged), "switch");
}

TEST_F(Uplink, LaterFragmentsGoWhereTheirFirstWent) {
  for (const Row& row : tests::uplink::fragment_rows()) EXPECT_EQ(taker(row.frame), row.taker) << row.name;
}

TEST_F(Uplink, TheNodeGoesOnAnsweringPings) {
  tests::shell(fmt::format("ip addr add {}/24 dev h0", kNode));
  world_->netns().run([] {
    tests::shell(fmt::format("ip addr add {}/24 dev eth0", kWorld));
    tests::shell("ip link set eth0 arp on");
  });
  tests::shell("ip link set h0 arp on");
  world_->netns().run(
      [] { EXPECT_NO_THROW(tests::shell(fmt::format("ping -q -c 2 -i 0.1 -W 2 {} > /dev/null", kNode))); });
}

TEST_F(Uplink, RulesAreWidenedAndNarrowed) {
  const Frame old_one = eth().ipv4(kWorld, kNode).tcp(4000, 30500, kSyn).bytes();
  const Frame new_one = eth().ipv4(kWorld, kNode).tcp(4000, 30501, kSyn).bytes();
  const Frame masqueraded = eth().ipv4(kWorld, kNode).udp(53, 50000).bytes();
  const Frame old_vxlan = eth().ipv4(kWorld, kVtep).udp(50000, 4789).bytes();
  const Frame old_pod = eth().ipv4(kWorld, "10.244.1.7").udp(53, 53).bytes();
  const Frame new_pod = eth().ipv4(kWorld, "10.244.9.7").udp(53, 53).bytes();
  UplinkRules next;
  next.frontends = {frontend(kNode, 6, 30501)};
  next.local_prefixes = {net::Prefix::parse("10.244.9.0/24").value()};
  ASSERT_TRUE(program_->widen(next).ok());
  EXPECT_EQ(taker(old_one), "switch");
  EXPECT_EQ(taker(new_one), "switch");
  EXPECT_EQ(taker(masqueraded), "switch");
  for (const Frame& frame : {old_vxlan, old_pod, new_pod}) EXPECT_EQ(taker(frame), "switch");
  ASSERT_TRUE(program_->narrow(next).ok());
  EXPECT_EQ(taker(old_one), "kernel");
  EXPECT_EQ(taker(new_one), "switch");
  EXPECT_EQ(taker(masqueraded), "kernel");
  for (const Frame& frame : {old_vxlan, old_pod}) EXPECT_EQ(taker(frame), "kernel");
  EXPECT_EQ(taker(new_pod), "switch");
  port_.reset();
  EXPECT_EQ(taker(new_one), "kernel") << "the port is closed";
}

/// Four queues, and one thread that takes turns with all of them.
class UplinkQueues : public testing::Test {
 protected:
  static constexpr unsigned kQueues = 4;

  void SetUp() override {
    MILLRACE_NEEDS_ROOT();
    auto loaded = UplinkProgram::load();
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    program_ = std::move(loaded).value();
    const std::string queues = fmt::format("numtxqueues {} numrxqueues {}", kQueues, kQueues);
    world_ = std::make_unique<tests::Pod>("h0", queues, queues);
    tests::shell(fmt::format("ethtool -L h0 tx {} rx {}", kQueues, kQueues));
    world_->netns().run([] { tests::shell(fmt::format("ethtool -L eth0 tx {} rx {}", kQueues, kQueues)); });
    pool_ = tests::make_pool(2048);
    ASSERT_EQ(receive_queues("h0"), kQueues);
    auto ports = AfXdpPort::open_queues(
        *pool_, {.interface = "h0", .program = program_->program(), .this_program_only = true}, kQueues);
    ASSERT_TRUE(ports.ok()) << ports.error().message;
    ports_ = std::move(ports).value();
    ASSERT_TRUE(program_->widen(rules()).ok());
    tap_ = std::make_unique<KernelTap>("h0");
  }

  /// Takes what waits in every queue; returns how many packets were `frame`.
  unsigned take(const Frame& frame, std::array<unsigned, kQueues>& by_queue) {
    unsigned found = 0;
    for (std::size_t queue = 0; queue < ports_.size(); ++queue) {
      std::array<net::Packet*, kBurst> burst;
      const unsigned count = ports_[queue]->receive(burst);
      for (unsigned i = 0; i < count; ++i) {
        const bool same = Frame(burst[i]->data, burst[i]->data + burst[i]->length_bytes) == frame;
        found += same ? 1 : 0;
        by_queue[queue] += same ? 1 : 0;
      }
      if (count > 0) pool_->release({burst.data(), count});
    }
    return found;
  }

  std::unique_ptr<UplinkProgram> program_;
  std::unique_ptr<tests::Pod> world_;
  std::unique_ptr<MbufPool> pool_;
  std::vector<std::unique_ptr<AfXdpPort>> ports_;
  std::unique_ptr<KernelTap> tap_;
};

TEST_F(UplinkQueues, EveryQueueHasASocketAndTheKernelKeepsItsOwn) {
  const tests::RawSocket socket(*world_, ETH_P_IP);  // its kernel spreads IP packets by their ports
  std::array<unsigned, kQueues> by_queue{};
  for (std::uint16_t source = 50000; source < 50064; ++source) {
    const Frame ours = eth().ipv4(kWorld, kVtep).udp(source, 4789).bytes();
    ASSERT_TRUE(socket.send(ours));
    unsigned found = 0;
    EXPECT_TRUE(tests::step_until([&] { found += take(ours, by_queue); }, [&] { return found == 1; })) << source;
    const Frame nodes = eth().ipv4(kWorld, kNode).tcp(source, 22, kSyn).bytes();
    ASSERT_TRUE(socket.send(nodes));
    bool seen = false;
    EXPECT_TRUE(tests::step_until([&] { seen |= tap_->saw(nodes); }, [&] { return seen; })) << source;
  }
  for (unsigned queue = 0; queue < kQueues; ++queue) EXPECT_GT(by_queue[queue], 0u) << "queue " << queue;
}

TEST_F(UplinkQueues, EveryQueueSends) {
  const tests::RawSocket socket(*world_, ETH_P_IP);
  for (std::size_t queue = 0; queue < ports_.size(); ++queue) {
    net::Packet* packet = pool_->allocate();
    ASSERT_NE(packet, nullptr);
    const Frame frame = eth().ipv4(kVtep, kWorld).udp(static_cast<std::uint16_t>(50000 + queue), 4789).bytes();
    tests::write_frame(*packet, frame);
    ASSERT_EQ(ports_[queue]->transmit({&packet, 1}), 1u);
    ports_[queue]->flush();
    EXPECT_EQ(socket.receive(), frame) << "queue " << queue;
  }
}

TEST_F(UplinkQueues, OneLinkGoesWithTheLastQueue) {
  const tests::RawSocket socket(*world_, ETH_P_IP);  // its kernel spreads IP packets by their ports
  const auto kernel_gets = [&](const Frame& frame) {
    bool seen = false;
    return socket.send(frame) && tests::step_until([&] { seen |= tap_->saw(frame); }, [&] { return seen; });
  };
  while (ports_.size() > 1) ports_.pop_back();
  tests::shell("ip link show h0 | grep -q xdp");
  std::array<unsigned, kQueues> by_queue{};
  // What falls on a queue without a socket is the kernel's, the rest is still taken.
  unsigned passed = 0;
  for (std::uint16_t source = 50000; source < 50032; ++source) {
    const Frame ours = eth().ipv4(kWorld, kVtep).udp(source, 4789).bytes();
    ASSERT_TRUE(socket.send(ours));
    bool seen = false;
    unsigned found = 0;
    EXPECT_TRUE(tests::step_until([&] { found += take(ours, by_queue), seen |= tap_->saw(ours); },
                                  [&] { return seen || found == 1; }));
    passed += seen ? 1 : 0;
  }
  EXPECT_GT(passed, 0u);
  EXPECT_GT(by_queue[0], 0u);
  ports_.clear();
  tests::shell("! ip link show h0 | grep -q xdp");
  EXPECT_TRUE(kernel_gets(eth().ipv4(kWorld, kVtep).udp(50000, 4789).bytes()));
}

}  // namespace
}  // namespace millrace::datapath::io
