/// CNI ADD, DEL, CHECK and GC: the order of steps over store, kernel and switch.
///
/// ADD:     store (kAdding, with addresses) -> kernel (veth, addresses, routes) -> switch (port) -> store (kActive).
///          An error undoes what was done, in the opposite order, and is what the caller gets.
///          In two steps (AddPodStep) the first ends before kActive, without addresses; the second gives them to store,
///          kernel and switch, in this order, and leaves undoing to DEL: the lease is given back over the interface.
/// DEL:     store (kDeleting) -> switch -> kernel -> store (gone, addresses released). Repeatable; succeeds when
///          namespace, interface or row are gone. The switch may be away: its next resync has the port no more.
/// Crash:   the row tells what may exist, see reconcile.h.
/// Thread:  any; calls for one attachment wait for one another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/agent/host_port.h"
#include "control/agent/key_locks.h"
#include "control/agent/model.h"
#include "control/agent/node_blocks.h"
#include "control/agent/pod_link.h"
#include "control/agent/requests.h"
#include "control/agent/store.h"
#include "control/agent/switch_client.h"
#include "net/result.h"

namespace millrace::control::agent {

struct AddedPod {
  Attachment attachment;
  std::vector<net::IpAddress> gateways;  // one for each address
  std::vector<netlink::LinkRoute> routes;
  std::uint64_t generation = 0;
};

class PodManager {
 public:
  /// `host` is the host port as it was made; its name is the instance that host interface names are made from.
  /// `masquerade`: pods' packets to the outside leave with the node's address. `socket_directory`: pod_socket.h.
  PodManager(Store& store, SwitchClient& the_switch, const NodeBlocks& blocks, HostPort host, bool masquerade,
             std::string socket_directory)
      : store_(store),
        switch_(the_switch),
        blocks_(blocks),
        host_(std::move(host)),
        masquerade_(masquerade),
        socket_directory_(std::move(socket_directory)) {}

  net::Result<AddedPod> add(const PodRequest& request);
  net::Result<void> del(const AttachmentKey& key);
  net::Result<void> check(const AttachmentKey& key, const std::string& netns,
                          const std::vector<net::IpAddress>& addresses);
  /// Interfaces of the node have gone, `name` or any: a pod's that went without a DEL frees its port in the switch.
  /// The attachment and its addresses stay until DEL or GC, whose words these are (CNI spec 1.1.0, DEL).
  void note_gone(const std::optional<std::string>& name);
  /// Removes the attachments of `network` that are not in `valid`; returns how many.
  net::Result<std::uint32_t> gc(const std::string& network, const std::vector<AttachmentKey>& valid);

 private:
  net::Result<Attachment> plan(const PodRequest& request) const;
  RouteContext route_context(const PodRequest& request, std::uint32_t mtu) const;
  net::Result<AddedPod> complete(const PodRequest& request, const Netns& netns,
                                 const std::optional<Attachment>& prepared);
  AddedPod added_pod(const Attachment& attachment, std::uint64_t generation) const;
  PodLink link_of(const Attachment& attachment) const;
  net::Result<std::uint64_t> connect(const Netns& netns, const Attachment& attachment, bool& link_made);
  /// The node's routes to the addresses that are of no block, then the switch's port.
  net::Result<std::uint64_t> open_port(const Attachment& attachment);
  /// Takes away whatever exists of the attachment and then its row. `link_made` false: the interface is not ours.
  net::Result<void> tear_down(const Attachment& attachment, bool link_made);
  net::Result<void> remove_leftover(const AttachmentKey& key);
  bool is_extra(const net::IpAddress& address) const;

  Store& store_;
  SwitchClient& switch_;
  const NodeBlocks& blocks_;
  const HostPort host_;
  const bool masquerade_;
  const std::string socket_directory_;
  KeyLocks locks_;
};

}  // namespace millrace::control::agent
