/// This node's part in the cluster while its agent runs: its key is there, its blocks are its own, and the switch has a
/// way to each other node.
///
/// Shape:   what happens (a lease is granted, keys change, the node's addresses change) only notes what is to be done;
///          one thread does it, one thing after the other: agree on the configuration, publish the node's key, compare
///          the blocks, give back what others need, tell the switch the ways. What fails is done again after
///          kPauseAfterError, or as soon as something happens.
/// Away:    with etcd away the ways are those of the last state there was, and new pods start from the blocks there
/// are. Refused: when another machine has this node's name, or the configuration is not the cluster's, the node is not
///          in the cluster: its key is not put and it claims nothing. Its pods go on. status() says why.
/// Thread:  any; on_batch() as the link calls it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/agent/cluster/block_keeper.h"
#include "control/agent/cluster/cluster_link.h"
#include "control/agent/cluster/identity.h"
#include "control/agent/cluster/own_node.h"
#include "control/agent/cluster/tunnels.h"
#include "control/agent/node_blocks.h"
#include "control/config/config.h"
#include "control/etcd/lease.h"

namespace millrace::control::agent::cluster {

class Membership {
 public:
  static constexpr std::chrono::milliseconds kPauseAfterError{1000};
  /// An ADD waits so long for another node to give back a block.
  static constexpr std::chrono::milliseconds kWaitForBlock{3000};

  /// Says what the switch is to have; it keeps it, and repeats it after a restart of the switch.
  using TellSwitch = std::function<net::Result<void>(const api::Underlay&, const std::vector<api::Tunnel>&)>;

  /// Loads the blocks that the disk has into `blocks`. `families`: whose pools are in use. All references outlive it.
  static net::Result<std::unique_ptr<Membership>> open(const config::Config& config, ClusterLink& link, Store& store,
                                                       NodeBlocks& blocks, std::vector<net::IpAddress> addresses,
                                                       std::vector<config::AddressPool> pools);
  ~Membership() { stop(); }

  /// Once, in the calling thread: is the name free, is the configuration the cluster's, has each family a block? With
  /// blocks on the disk it is no error when etcd is away. Error: kFailedPrecondition is for good; with another one it
  /// may be tried again.
  net::Result<void> join();
  /// Etcd has said in this run that the configuration is the cluster's.
  bool has_agreed() const;
  /// What the switch is to have, from what is known now.
  Ways ways() const;
  api::Underlay underlay() const;

  /// From now on it is kept so. After link.start().
  void start(TellSwitch tell_switch);
  /// The node's key stays until its lease ends: an agent that is back by then was never away for the others.
  void stop();

  void on_batch(const etcd::Batch& batch);
  void set_addresses(std::vector<net::IpAddress> addresses);

  struct Status {
    bool is_member = false;  // the node's key is there, as far as can be known
    std::string message;     // why not, or what cannot be done at present; "" when all is well
  };
  Status status() const;
  NodeRecord record() const { return own_.record(); }
  const Keys& keys() const { return link_.keys(); }
  const etcd::Mirror& mirror() const { return link_.mirror(); }
  net::Result<Removed> delete_node(const std::string& name);

 private:
  struct Todo {
    bool agree = false, publish = false, sync = false, ways = false;  // agree goes with publish
    std::set<std::uint8_t> give_back;                                 // families
    bool any() const { return publish || sync || ways || !give_back.empty(); }
    void add(const Todo& other);
  };

  Membership(const config::Config& config, ClusterLink& link, Store& store, NodeBlocks& blocks, Identity identity,
             std::vector<net::IpAddress> addresses, std::vector<config::AddressPool> pools);
  void run();
  void note(const Todo& todo);
  /// What could not be done.
  Todo work(const Todo& todo);
  net::Result<void> agree();
  net::Result<void> tell_ways();
  net::Result<void> grow(std::uint8_t family);
  net::Result<void> may_claim() const;
  void set_problem(std::string& problem, const std::string& message);
  bool is_of_another(const etcd::Change& config) const;
  Todo consequences(const etcd::Change& change) const;

  const config::Config config_;
  ClusterLink& link_;
  NodeBlocks& blocks_;
  const std::string instance_;
  OwnNode own_;
  BlockKeeper keeper_;
  TellSwitch tell_switch_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Todo todo_;
  bool is_agreed_ = false;  // with the configuration of the cluster, in this run
  bool is_stopped_ = false;
  std::uint64_t block_changes_ = 0;  // of any node's, seen
  std::string refusal_;              // this node is not in the cluster
  std::string problem_;              // of the last work
  std::set<std::string> warned_;     // of ways
  std::int64_t published_lease_ = 0;
  std::unique_ptr<etcd::Lease> lease_;
  std::thread thread_;
};

}  // namespace millrace::control::agent::cluster
