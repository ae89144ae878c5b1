#include "control/agent/cluster/membership.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "control/agent/version.h"

namespace millrace::control::agent::cluster {
namespace {

bool is_for_good(const net::Error& error) { return error.code == net::ErrorCode::kFailedPrecondition; }

std::vector<net::Prefix> prefixes_of(const std::vector<AddressBlock>& blocks) {
  std::vector<net::Prefix> prefixes;
  for (const AddressBlock& block : blocks) prefixes.push_back(block.block());
  return prefixes;
}

NodeRecord record_of(const config::Config& config, const Identity& identity, std::vector<net::IpAddress> addresses) {
  return {.name = config.node_name,
          .addresses = std::move(addresses),
          .vtep_mac = identity.vtep_mac,
          .instance = identity.instance,
          .epoch = identity.epoch,
          .version = kVersion};
}

}  // namespace

void Membership::Todo::add(const Todo& other) {
  agree |= other.agree;
  publish |= other.publish;
  sync |= other.sync;
  ways |= other.ways;
  give_back.insert(other.give_back.begin(), other.give_back.end());
}

Membership::Membership(const config::Config& config, ClusterLink& link, Store& store, NodeBlocks& blocks,
                       Identity identity, std::vector<net::IpAddress> addresses, std::vector<config::AddressPool> pools)
    : config_(config),
      link_(link),
      blocks_(blocks),
      instance_(identity.instance),
      own_(link.client(), link.keys(), record_of(config, identity, std::move(addresses))),
      keeper_(link.client(), link.keys(), store, blocks, {config.node_name, identity.instance}, std::move(pools)) {
  keeper_.set_may_claim([this] { return may_claim(); });
  blocks_.set_grow([this](std::uint8_t family) { return grow(family); });
}

net::Result<std::unique_ptr<Membership>> Membership::open(const config::Config& config, ClusterLink& link, Store& store,
                                                          NodeBlocks& blocks, std::vector<net::IpAddress> addresses,
                                                          std::vector<config::AddressPool> pools) {
  auto identity = begin_epoch(store);
  if (!identity) return identity.error();
  std::unique_ptr<Membership> made(
      new Membership(config, link, store, blocks, *identity, std::move(addresses), std::move(pools)));
  if (auto loaded = made->keeper_.load(); !loaded) return loaded.error();
  for (const char* family : {"block.ipv4", "block.ipv6"}) {
    auto before = store.meta(family);  // pods may have addresses of it (reconcile.h)
    if (!before) return before.error();
    const auto block = *before ? net::Prefix::parse(**before) : net::Prefix::parse("");
    if (block) made->keeper_.prefer(*block);
  }
  return made;
}

net::Result<void> Membership::join() {
  net::Result<void> joined = own_.check_name();
  if (joined) joined = agree();
  if (joined) joined = keeper_.sync();
  if (joined || is_for_good(joined.error()) || !keeper_.has_all_families()) return joined;
  spdlog::warn("{}; pods start from the blocks that this node has", joined.error().message);
  return {};
}

bool Membership::has_agreed() const {
  const std::lock_guard guard(mutex_);
  return is_agreed_;
}

net::Result<void> Membership::agree() {
  {
    const std::lock_guard guard(mutex_);
    if (is_agreed_) return {};
  }
  auto agreed = agree_on_config(link_.client(), link_.keys(), config_record(config_));
  const std::lock_guard guard(mutex_);
  is_agreed_ = agreed.ok();
  return agreed;
}

net::Result<void> Membership::may_claim() const {
  const std::lock_guard guard(mutex_);
  if (!refusal_.empty()) return net::failed_precondition(refusal_);
  if (!is_agreed_) return net::unavailable("etcd: whether the configuration is the cluster's is not known yet");
  return {};
}

Ways Membership::ways() const {
  return ways_to_others(config_, link_.keys(), own_.record(), prefixes_of(blocks_.all()),
                        link_.mirror().list(link_.keys().nodes()), link_.mirror().list(link_.keys().blocks()));
}

api::Underlay Membership::underlay() const {
  return cluster::underlay(config_, own_.record(), prefixes_of(blocks_.all()));
}

void Membership::start(TellSwitch tell_switch) {
  tell_switch_ = std::move(tell_switch);
  link_.subscribe([this](const etcd::Batch& batch) { on_batch(batch); });
  lease_ = std::make_unique<etcd::Lease>(
      link_.client(), std::chrono::seconds(config_.etcd.lease_seconds),
      [this](std::int64_t) { note({.agree = false, .publish = true, .sync = true, .ways = true, .give_back = {}}); });
  thread_ = std::thread([this] { run(); });
}

void Membership::stop() {
  {
    const std::lock_guard guard(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (lease_) lease_->let_expire();
  lease_.reset();
}

void Membership::note(const Todo& todo) {
  {
    const std::lock_guard guard(mutex_);
    todo_.add(todo);
  }
  changed_.notify_all();
}

void Membership::run() {
  std::unique_lock guard(mutex_);
  Todo failed;
  while (!is_stopped_) {
    const auto has_work = [this] { return is_stopped_ || todo_.any(); };
    if (failed.any()) {
      changed_.wait_for(guard, kPauseAfterError, has_work);
    } else {
      changed_.wait(guard, has_work);
    }
    if (is_stopped_) return;
    Todo todo = std::exchange(todo_, {});
    todo.add(failed);
    guard.unlock();
    failed = work(todo);
    guard.lock();
  }
}

Membership::Todo Membership::work(const Todo& todo) {
  Todo failed;
  std::string problem, refusal;
  const auto tried = [&](const net::Result<void>& result) {
    if (!result && is_for_good(result.error())) refusal = result.error().message;
    if (!result && problem.empty()) problem = result.error().message;
    return result.ok();
  };
  if (todo.publish || todo.sync) {
    if (tried(agree()) && todo.publish && lease_->id() != 0 && tried(own_.publish(lease_->id()))) {
      const std::lock_guard guard(mutex_);
      published_lease_ = lease_->id();
    }
    failed.publish = todo.publish && !problem.empty();
    set_problem(refusal_, refusal);
  }
  // Blocks of a node that is refused are compared, too: it must know what it has lost.
  if (todo.sync) failed.sync = !tried(keeper_.sync());
  for (const std::uint8_t family : todo.give_back) {
    if (!tried(keeper_.give_back(family))) failed.give_back.insert(family);
  }
  if (todo.ways) failed.ways = !tried(tell_ways());
  set_problem(problem_, problem);
  return failed;
}

void Membership::set_problem(std::string& problem, const std::string& message) {
  const std::lock_guard guard(mutex_);
  if (!message.empty() && message != problem) spdlog::warn("{}", message);
  problem = message;
}

net::Result<void> Membership::tell_ways() {
  const Ways now = ways();
  std::set<std::string> warnings(now.warnings.begin(), now.warnings.end());
  for (const std::string& warning : warnings) {
    if (!warned_.contains(warning)) spdlog::warn("{}: no packets go there", warning);
  }
  warned_ = std::move(warnings);
  auto told = tell_switch_(underlay(), now.tunnels);
  // With the switch away it is part of what the switch gets at its return.
  return told || told.error().code == net::ErrorCode::kUnavailable ? net::Result<void>() : told;
}

/// A key that goes is not put again: the next node that starts says what the configuration is (README.md).
bool Membership::is_of_another(const etcd::Change& config) const {
  return config.after && parse_config(config.after->value) != config_record(config_);
}

Membership::Todo Membership::consequences(const etcd::Change& change) const {
  Todo todo;
  const Keys& keys = link_.keys();
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    if (change.key == wanted_key(keys, family) && change.after && change.after->value != config_.node_name) {
      todo.give_back.insert(family);
    }
  }
  if (change.key == config_key(keys) && is_of_another(change)) todo.agree = todo.publish = true;
  const auto key = keys.parse(change.key);
  if (!key) return todo;
  if (const auto* node = std::get_if<NodeKey>(&*key)) {
    todo.ways = true;
    const auto record = change.after ? parse_node(change.after->value) : std::nullopt;
    // Gone, by whomever: with a lease that lives it is put again.
    if (node->name == config_.node_name && (!record || record->instance != instance_)) todo.publish = true;
  } else if (std::holds_alternative<BlockKey>(*key)) {
    todo.ways = true;
    for (const auto& value : {change.before, change.after}) {
      const auto record = value ? parse_block(value->value) : std::nullopt;
      todo.sync |= record && record->instance == instance_;
    }
  }
  return todo;
}

void Membership::on_batch(const etcd::Batch& batch) {
  Todo todo;
  for (const etcd::Change& change : batch.changes) todo.add(consequences(change));
  if (batch.is_first) todo.ways = true;
  {
    const std::lock_guard guard(mutex_);
    // Whoever asked before this agent was there is asking again if it still needs one.
    if (batch.is_first) todo.give_back.clear();
    if (todo.ways) ++block_changes_;
    if (todo.agree) is_agreed_ = false;
    todo_.add(todo);
  }
  if (todo.any()) changed_.notify_all();
}

net::Result<void> Membership::grow(std::uint8_t family) {
  const auto end = std::chrono::steady_clock::now() + kWaitForBlock;
  while (true) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard guard(mutex_);
      seen = block_changes_;
    }
    auto claimed = keeper_.claim(family);
    if (claimed) note({.agree = false, .publish = false, .sync = false, .ways = true, .give_back = {}});
    if (claimed || claimed.error().code != net::ErrorCode::kResourceExhausted) return claimed;
    std::unique_lock guard(mutex_);
    const auto is_news = [&] { return is_stopped_ || block_changes_ != seen; };
    if (!changed_.wait_until(guard, end, is_news) || is_stopped_) return claimed;
  }
}

void Membership::set_addresses(std::vector<net::IpAddress> addresses) {
  own_.set_addresses(std::move(addresses));
  note({.agree = false, .publish = true, .sync = false, .ways = true, .give_back = {}});
}

net::Result<Removed> Membership::delete_node(const std::string& name) {
  return cluster::delete_node(link_.client(), link_.keys(), name);
}

Membership::Status Membership::status() const {
  const std::lock_guard guard(mutex_);
  const bool is_alive = lease_ && lease_->is_alive() && published_lease_ == lease_->id();
  const std::string away = link_.mirror().status().message;
  const std::string& message = !refusal_.empty() ? refusal_ : !problem_.empty() ? problem_ : away;
  return {is_alive && refusal_.empty(), message};
}

}  // namespace millrace::control::agent::cluster
