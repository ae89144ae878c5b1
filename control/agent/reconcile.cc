#include "control/agent/reconcile.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/netns.h"
#include "control/agent/pod_socket.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {
namespace {

const char* reason_to_remove(AttachmentState state) {
  switch (state) {
    case AttachmentState::kAdding: return "its ADD did not end";
    case AttachmentState::kDeleting: return "its DEL did not end";
    case AttachmentState::kActive: return "its interface, its namespace or its socket's directory is gone";
  }
  return "its state is unknown";
}

net::Result<bool> is_there(netlink::Netlink& netlink, const Attachment& attachment) {
  if (attachment.vhost) return socket_is_there(attachment);
  auto link = netlink.link(attachment.host_interface);
  if (link) return true;
  if (link.error().code == net::ErrorCode::kNotFound) return false;
  return link.error();
}

net::Result<void> check_host_addresses(const Attachment& attachment, const std::vector<AddressBlock>& blocks) {
  for (const net::IpAddress& address : attachment.addresses) {
    for (const AddressBlock& block : blocks) {
      if (address != block.host()) continue;
      return net::failed_precondition("ipam: " + address.to_string() + ", the node's address in block " +
                                      block.block().to_string() + ", is that of pod " + attachment.key.to_string() +
                                      "; configure another block, or delete the pod first");
    }
  }
  return {};
}

/// Notes the block of each family, and tells when it is another than last time.
net::Result<void> note_blocks(Store& store, const std::vector<AddressBlock>& blocks, std::size_t kept) {
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    std::string now = "none";
    for (const AddressBlock& block : blocks) {
      if (block.family() != family) continue;
      now = block.block().to_string();
      break;  // the first, with the node's address
    }
    const std::string key = "block.ipv" + std::to_string(family);
    auto before = store.meta(key);
    if (!before) return before.error();
    if (*before == now) continue;
    if (*before && kept > 0) {
      spdlog::warn("ipam: the IPv{} block was {} and is {}: {} pods that are there keep their addresses", family,
                   **before, now, kept);
    }
    if (auto set = store.set_meta(key, now); !set) return set;
  }
  return store.keep_only_blocks(blocks);
}

}  // namespace

net::Result<void> remove_pod_end(Store& store, const Attachment& attachment) {
  if (!attachment.vhost) return netlink::remove_link_if_there(attachment.host_interface);
  auto all = store.list();
  if (!all) return all.error();
  return remove_pod_socket(attachment.vhost->path, *all);
}

bool socket_is_there(const Attachment& attachment) {
  return socket_directory_is_there(attachment.vhost->path) && Netns::open(attachment.netns).ok();
}

bool is_kept(AttachmentState state, bool is_there) { return state == AttachmentState::kActive && is_there; }

net::Result<std::vector<Attachment>> reconcile(Store& store, const std::vector<AddressBlock>& blocks) {
  auto attachments = store.list();
  if (!attachments) return attachments.error();
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  std::vector<Attachment> kept;
  for (const Attachment& attachment : *attachments) {
    auto there = is_there(*netlink, attachment);
    if (!there) return there.error();
    if (is_kept(attachment.state, *there)) {
      if (auto checked = check_host_addresses(attachment, blocks); !checked) return checked.error();
      kept.push_back(attachment);
      continue;
    }
    spdlog::info("{} is removed: {}", attachment.key.to_string(), reason_to_remove(attachment.state));
    if (auto removed = remove_pod_end(store, attachment); !removed) return removed.error();
    if (auto gone = store.finish_delete(attachment.id, blocks); !gone) return gone.error();
  }
  if (auto noted = note_blocks(store, blocks, kept.size()); !noted) return noted.error();
  return kept;
}

std::vector<net::IpAddress> addresses_outside(const std::vector<Attachment>& attachments,
                                              const std::vector<AddressBlock>& blocks) {
  std::vector<net::IpAddress> outside;
  for (const Attachment& attachment : attachments) {
    for (const net::IpAddress& address : attachment.addresses) {
      const auto holds = [&](const AddressBlock& block) { return block.block().contains(address); };
      if (std::none_of(blocks.begin(), blocks.end(), holds)) outside.push_back(address);
    }
  }
  return outside;
}

}  // namespace millrace::control::agent
