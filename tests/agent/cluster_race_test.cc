// Eight nodes race for the addresses of one pool over a real etcd, while everything dies: nodes by SIGKILL and by
// standing still for longer than their lease, etcd, leases, nodes' keys, old revisions. Whatever happens, no two nodes
// have one block or one address at the same time, and a node that is back has what it had.
//
// Seed:    MILLRACE_SEED, else of the clock; it is printed. It gives what is done, not how threads and processes
// interleave.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "control/agent/cluster/records.h"
#include "tests/agent/chance.h"
#include "tests/etcd/server.h"

namespace millrace::control::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kNodes = 8;
constexpr seconds kChaos{9}, kLongestChaos{60};
constexpr std::size_t kLeastChanges = 1000;
constexpr milliseconds kLongerThanALease{5'500};

std::uint32_t seed() {
  static const std::uint32_t value = [] {
    const char* given = std::getenv("MILLRACE_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::stoul(given))
                            : static_cast<std::uint32_t>(Clock::now().time_since_epoch().count());
  }();
  return value;
}

/// What the history says so far: who has what. A line that may not follow those before is a failure of the test.
struct Ledger {
  std::map<std::string, std::string> owners;  // of "block 10.9.0.8/29", "address 10.9.0.9": the node
  std::map<std::string, std::set<std::string>> ever;
  std::size_t changes = 0;

  void read(const std::string& line) {
    std::istringstream words(line);
    std::string what, node, about;
    words >> what >> node >> about;
    if (what == "error") ADD_FAILURE() << line;
    if (what == "releasing") {
      const auto held = owners.find("block " + about);
      if (held != owners.end() && held->second == node) owners.erase(held);
    }
    if (what.back() != '+' && what.back() != '-') return;
    const std::string thing = what.substr(0, what.size() - 1) + " " + about;
    ++changes;
    if (what.back() == '-') {
      EXPECT_EQ(owners[thing], node) << line;
      owners.erase(thing);
      return;
    }
    const auto [at, is_new] = owners.emplace(thing, node);
    EXPECT_EQ(at->second, node) << "two nodes have " << thing;
    ever[thing].insert(node);
  }
  /// Blocks and addresses that were of several nodes in turn.
  std::size_t moved() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(ever, [](const auto& thing) { return thing.second.size() > 1; }));
  }
  bool is_race() const { return changes > kLeastChanges && moved() > 0; }
  std::map<std::string, std::set<std::string>> of_nodes(const std::string& sort) const {
    std::map<std::string, std::set<std::string>> things;
    for (const auto& [thing, node] : owners) {
      if (thing.starts_with(sort)) things[node].insert(thing);
    }
    return things;
  }
};

class ClusterRace : public testing::Test {
 protected:
  void SetUp() override {
    std::printf("MILLRACE_SEED=%u\n", seed());
    server_ = etcd::start_server();
    directory_.write("history", "");
  }
  static std::string name(std::uint32_t node) { return "node-" + std::to_string(node); }
  void start(std::uint32_t node, const std::string& mode) {
    nodes_[node].reset();
    nodes_[node] = std::make_unique<etcd::Process>(
        std::vector<std::string>{RACE_NODE, name(node), server_->url(), directory_.file(name(node)),
                                 directory_.file("history"), mode, std::to_string(chance_.below(1u << 30))},
        directory_.file(name(node) + ".log"));
  }
  /// Lines of the history that have not been read yet.
  std::vector<std::string> news() {
    const std::string text = etcd::read_text(directory_.file("history"));
    std::istringstream lines(text.substr(read_, text.rfind('\n') + 1 - read_));
    read_ = text.rfind('\n') + 1;
    std::vector<std::string> found;
    for (std::string line; std::getline(lines, line);) found.push_back(line);
    return found;
  }
  /// Reads on until every node has written a line that begins so.
  void wait_for_all(const std::string& what, Ledger& ledger) {
    std::set<std::string> waiting;
    for (std::uint32_t node = 0; node < kNodes; ++node) waiting.insert(what + " " + name(node));
    const auto end = Clock::now() + seconds(30);
    while (!waiting.empty()) {
      for (const std::string& line : news()) {
        ledger.read(line);
        std::erase_if(waiting, [&](const std::string& begin) { return line.starts_with(begin + " "); });
      }
      ASSERT_LT(Clock::now(), end) << "no \"" << *waiting.begin() << '"';
      std::this_thread::sleep_for(milliseconds(5));  // of other processes' doing
    }
  }
  /// What etcd may refuse: a lease that just ended by itself, a revision that is compacted already.
  void try_ctl(const std::vector<std::string>& words) {
    std::vector<std::string> command = {"etcdctl", "--endpoints", server_->url()};
    command.insert(command.end(), words.begin(), words.end());
    etcd::run(command);
  }
  void revoke_a_lease() {
    std::istringstream lines(server_->ctl({"lease", "list"}));
    std::vector<std::string> leases;
    for (std::string line; std::getline(lines, line);) {
      if (line.find(' ') == std::string::npos && !line.empty()) leases.push_back(line);
    }
    if (!leases.empty()) try_ctl({"lease", "revoke", chance_.of(leases)});
  }
  void compact() {
    const auto header = nlohmann::json::parse(server_->ctl({"get", "x", "-w", "json"}))["header"];
    try_ctl({"compact", header["revision"].dump()});
  }
  void kill_etcd() {
    server_->kill();
    std::this_thread::sleep_for(milliseconds(chance_.below(1000)));
    server_->start();
    server_->wait_ready();
  }
  void do_something() {
    const std::uint32_t node = chance_.below(kNodes);
    const std::uint32_t what = chance_.below(16);
    if (what == 0) return kill_etcd();
    if (what == 1) return compact();
    if (what == 2) return revoke_a_lease();
    if (what == 3) {
      server_->ctl({"del", "/millrace/v1/nodes/" + name(node)});
    } else if (what < 6 && !frozen_until_.contains(node) && frozen_until_.size() < 2) {
      nodes_[node]->signal(SIGSTOP);
      frozen_until_[node] = Clock::now() + kLongerThanALease;
    } else if (what < 11 && !frozen_until_.contains(node)) {
      start(node, "race");  // kills the one that runs
      ++kills_;
    }
  }
  void thaw(Clock::time_point now) {
    std::erase_if(frozen_until_, [&](const auto& frozen) {
      if (frozen.second > now) return false;
      nodes_[frozen.first]->signal(SIGCONT);
      return true;
    });
  }
  /// The blocks of each node in this state that etcd has, as the ledger has them.
  std::map<std::string, std::set<std::string>> blocks_in_etcd(cluster::BlockState state) {
    std::map<std::string, std::set<std::string>> blocks;
    const std::string prefix = "/millrace/v1/blocks/4/";
    std::istringstream lines(server_->ctl({"get", "--prefix", prefix}));
    for (std::string key, value; std::getline(lines, key) && std::getline(lines, value);) {
      const auto record = cluster::parse_block(value);
      EXPECT_TRUE(record) << key << ": " << value;
      std::string block = key.substr(prefix.size());
      std::ranges::replace(block, '-', '/');
      if (record && record->state == state) blocks[record->node].insert("block " + block);
    }
    return blocks;
  }
  std::string log_of(const std::string& node) const { return etcd::read_text(directory_.file(node + ".log")); }

  Chance chance_{seed()};
  etcd::Directory directory_;
  std::unique_ptr<etcd::Server> server_;
  std::map<std::uint32_t, std::unique_ptr<etcd::Process>> nodes_;
  std::map<std::uint32_t, Clock::time_point> frozen_until_;
  std::size_t read_ = 0, kills_ = 0;
};

TEST_F(ClusterRace, no_address_and_no_block_is_twos_and_who_is_back_has_what_it_had) {
  Ledger ledger;
  for (std::uint32_t node = 0; node < kNodes; ++node) start(node, "race");
  ASSERT_NO_FATAL_FAILURE(wait_for_all("up", ledger));
  const auto begin = Clock::now();
  while (Clock::now() < begin + kChaos || (!ledger.is_race() && Clock::now() < begin + kLongestChaos)) {
    do_something();
    thaw(Clock::now());
    for (const std::string& line : news()) ledger.read(line);
    std::this_thread::sleep_for(milliseconds(chance_.below(200)));  // the race runs meanwhile
  }
  thaw(Clock::time_point::max());
  for (auto& [node, process] : nodes_) process->signal(SIGTERM);
  ASSERT_NO_FATAL_FAILURE(wait_for_all("ended", ledger));

  // Back while etcd is away: as before, from the disk.
  const auto blocks = ledger.of_nodes("block"), addresses = ledger.of_nodes("address");
  server_->kill();
  Ledger back;
  for (std::uint32_t node = 0; node < kNodes; ++node) start(node, "look");
  ASSERT_NO_FATAL_FAILURE(wait_for_all("up", back));
  EXPECT_EQ(back.of_nodes("block"), blocks);
  EXPECT_EQ(back.of_nodes("address"), addresses);

  // And when etcd is back it says the same. A claim whose answer was lost may come to its node now, and a block may go
  // that somebody wanted before etcd was away: then etcd says that it is empty.
  server_->start();
  server_->wait_ready();
  const auto end = Clock::now() + seconds(20);
  auto held = blocks_in_etcd(cluster::BlockState::kHeld);
  while (held != back.of_nodes("block") && Clock::now() < end) {
    for (const std::string& line : news()) back.read(line);
    held = blocks_in_etcd(cluster::BlockState::kHeld);
  }
  auto has = back.of_nodes("block");
  EXPECT_EQ(has, held);
  auto empty = blocks_in_etcd(cluster::BlockState::kEmpty);
  for (const auto& [node, had] : blocks) {
    for (const std::string& block : had) {
      EXPECT_TRUE(has[node].contains(block) || empty[node].contains(block)) << node << " had " << block;
    }
    if (HasFailure()) std::printf("log of %s:\n%s\n", node.c_str(), log_of(node).c_str());
  }

  std::printf("%zu changes, %zu blocks and addresses were of several nodes in turn, %zu nodes killed\n", ledger.changes,
              ledger.moved(), kills_);
  EXPECT_TRUE(ledger.is_race());
}

}  // namespace
}  // namespace millrace::control::agent
