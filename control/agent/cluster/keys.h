/// The cluster's keys in etcd: where each thing lies under the prefix, and what a key says. Nobody else writes or reads
/// a key by hand.
///
/// Shape:   objects/KIND/NAMESPACE/NAME      a Kubernetes object; NAMESPACE is empty for kinds that are in none
///          claims/clusterip/ADDRESS         the Service that has the address
///          claims/nodeport/PORT             the Service that has the port, whatever its protocols: Kubernetes' rule
///          attachments/NODE/HOST_INTERFACE  a pod's interface on that node
///          nodes/NAME                       a node that is there (leased)
///          blocks/4|6/ADDRESS-LENGTH        the node that has a block of addresses
///          A part holds letters, digits and ._~:- as they are, every other byte is %XX: so no part has a '/', and no
///          two things have one key.
/// Errors:  parse() is nullopt for what is outside of the prefix or not written exactly as above: a key that a person
///          or another version made. It is left alone.
/// Thread:  plain values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "control/agent/pod_attachment.h"
#include "control/kube/object.h"
#include "net/address.h"

namespace millrace::control::agent::cluster {

struct ClusterIpKey {
  net::IpAddress address;
  friend auto operator<=>(const ClusterIpKey&, const ClusterIpKey&) = default;
};
struct NodePortKey {
  std::uint16_t port = 0;
  friend auto operator<=>(const NodePortKey&, const NodePortKey&) = default;
};
struct NodeKey {
  std::string name;
  friend auto operator<=>(const NodeKey&, const NodeKey&) = default;
};
struct BlockKey {
  net::Prefix prefix;
  friend auto operator<=>(const BlockKey&, const BlockKey&) = default;
};
using Key = std::variant<kube::ObjectKey, ClusterIpKey, NodePortKey, AttachmentPlace, NodeKey, BlockKey>;

class Keys {
 public:
  /// `prefix`: "/millrace/v1/"; a '/' that lacks at its end is added.
  explicit Keys(std::string prefix);

  const std::string& prefix() const { return prefix_; }
  std::string print(const Key& key) const;
  std::optional<Key> parse(std::string_view text) const;

  // What lists: all keys of one sort begin so.
  std::string objects() const { return prefix_ + "objects/"; }
  std::string claims() const { return prefix_ + "claims/"; }
  std::string attachments() const { return prefix_ + "attachments/"; }
  std::string attachments_of(std::string_view node) const;
  std::string nodes() const { return prefix_ + "nodes/"; }
  std::string blocks() const { return prefix_ + "blocks/"; }
  std::string blocks_of(std::uint8_t family) const;

 private:
  std::string prefix_;
};

/// A part of a key. unescape() is nullopt for what escape() does not make.
std::string escape(std::string_view text);
std::optional<std::string> unescape(std::string_view part);

}  // namespace millrace::control::agent::cluster
