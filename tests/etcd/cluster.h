/// Three members of one etcd cluster, each in a network namespace of its own with two links: one to the clients, one to
/// the other members, so that a member can be cut off from the others and still be reached.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/etcd/server.h"

namespace millrace::control::etcd {

class Cluster {
 public:
  static constexpr int kMembers = 3;

  /// Running, with a leader; needs root.
  Cluster();
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  Server& member(int i) { return *members_.at(static_cast<std::size_t>(i)); }
  /// Which one leads, by etcdctl at member `asked`.
  int leader(int asked = 0) const;
  /// The link of member `i` to the others.
  void cut(int i) { set_link(i, "down"); }
  void join(int i) { set_link(i, "up"); }

  Options options(std::chrono::milliseconds timeout = std::chrono::seconds(5)) const;

 private:
  static void set_link(int i, const std::string& state);

  std::array<std::unique_ptr<Server>, kMembers> members_;
};

}  // namespace millrace::control::etcd
