#include "tests/etcd/cluster.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace millrace::control::etcd {
namespace {

void ip(const std::string& words) { must_run({"sh", "-ec", words}); }

std::uint64_t number_after(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word);
  EXPECT_NE(at, std::string::npos) << word << " in " << text;
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + word.size(), nullptr, 10);
}

}  // namespace

Cluster::Cluster() {
  ip("ip link add clients type bridge; ip link add peers type bridge; ip addr add 10.77.0.254/24 dev clients;"
     "ip link set clients up; ip link set peers up");
  std::string all;
  for (int i = 0; i < kMembers; ++i) all += fmt::format("{}m{}=http://10.78.0.{}:2380", i == 0 ? "" : ",", i, i + 1);
  for (int i = 0; i < kMembers; ++i) {
    ip(
        fmt::format("ip netns add m{0}; ip -n m{0} link set lo up;"
                    "ip link add c{0} type veth peer name eth0 netns m{0}; ip link set c{0} master clients up;"
                    "ip link add p{0} type veth peer name eth1 netns m{0}; ip link set p{0} master peers up;"
                    "ip -n m{0} addr add 10.77.0.{1}/24 dev eth0; ip -n m{0} link set eth0 up;"
                    "ip -n m{0} addr add 10.78.0.{1}/24 dev eth1; ip -n m{0} link set eth1 up",
                    i, i + 1));
    members_[static_cast<std::size_t>(i)] =
        std::make_unique<Server>(ServerSetup{.name = fmt::format("m{}", i),
                                             .cluster = all,
                                             .client_host = fmt::format("10.77.0.{}", i + 1),
                                             .peer_host = fmt::format("10.78.0.{}", i + 1),
                                             .client_port = 2379,
                                             .peer_port = 2380,
                                             .more = {},
                                             .under = {"ip", "netns", "exec", fmt::format("m{}", i)}});
  }
  if (testing::Test::HasFailure()) return;
  for (const auto& member : members_) member->start();
  for (const auto& member : members_) member->wait_ready();
}

Cluster::~Cluster() {
  for (auto& member : members_) member.reset();
  // The links first: a namespace goes when the kernel finds the time, and they with it.
  ip("for i in 0 1 2; do ip link del c$i; ip link del p$i; ip netns del m$i; done; ip link del clients; ip link del "
     "peers");
}

int Cluster::leader(int asked) const {
  const auto id_of = [&](int i, const char* word) {
    return number_after(members_.at(static_cast<std::size_t>(i))->ctl({"endpoint", "status", "-w", "json"}), word);
  };
  const std::uint64_t leads = id_of(asked, "\"leader\":");
  for (int i = 0; i < kMembers; ++i) {
    if (id_of(i, "\"member_id\":") == leads) return i;
  }
  ADD_FAILURE() << "nobody leads";
  return 0;
}

void Cluster::set_link(int i, const std::string& state) {
  // The far end as well: a member that is cut off has no carrier, as with a cable pulled.
  ip(fmt::format("ip -n m{} link set eth1 {}", i, state));
}

Options Cluster::options(std::chrono::milliseconds timeout) const {
  Options made;
  for (const auto& member : members_) made.endpoints.push_back(member->url());
  made.timeout = timeout;
  return made;
}

}  // namespace millrace::control::etcd
