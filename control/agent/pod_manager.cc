#include "control/agent/pod_manager.h"

#include <net/if.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/begin_attachment.h"
#include "control/agent/interface_name.h"
#include "control/agent/pod_socket.h"
#include "control/agent/port_specs.h"
#include "control/agent/reconcile.h"

namespace millrace::control::agent {
namespace {

net::Prefix host_prefix(const net::IpAddress& address) { return {address, static_cast<std::uint8_t>(address.bits())}; }

net::Result<void> check_mtu(const Attachment& attachment) {
  const bool has_ipv6 = !attachment.addresses.empty() && !attachment.addresses.back().is_v4();
  if (!has_ipv6 || attachment.mtu >= kMinMtuIpv6) return {};
  return net::invalid_argument("mtu: " + std::to_string(attachment.mtu) +
                               " with an IPv6 address; allowed: " + std::to_string(kMinMtuIpv6) + " and more");
}

}  // namespace

RouteContext PodManager::route_context(const PodRequest& request, std::uint32_t mtu) const {
  RouteContext context{.gateway_ipv4 = net::IpAddress::from(host_.gateway_ipv4),
                       .gateway_ipv6 = net::IpAddress::from(host_.gateway_ipv6),
                       .delegated_gateways = request.delegated_gateways,
                       .mtu = mtu};
  const auto note = [&](bool is_v4) { (is_v4 ? context.has_ipv4 : context.has_ipv6) = true; };
  for (const net::IpAddress& address : request.delegated) note(address.is_v4());
  if (!request.delegated.empty()) return context;
  for (const AddressBlock& block : host_.blocks) note(block.family() == 4);
  return context;
}

net::Result<Attachment> PodManager::plan(const PodRequest& request) const {
  Attachment attachment;
  attachment.key = request.key;
  attachment.netns = request.netns;
  attachment.pod_namespace = request.pod_namespace;
  attachment.pod_name = request.pod_name;
  attachment.pod_uid = request.pod_uid;
  attachment.host_interface = host_interface_name(host_.name, request.key);
  attachment.host_mac = mac_of(host_.name, request.key, "host");
  attachment.mac = request.mac.value_or(mac_of(host_.name, request.key, "pod"));
  attachment.mtu = request.mtu != 0 ? request.mtu : host_.mtu;
  attachment.dhcp = request.step == api::ADD_POD_STEP_PREPARE;
  auto routes = plan_routes(request.routes, route_context(request, attachment.mtu));
  if (!routes) return routes.error();
  attachment.routes = *std::move(routes);
  if (request.vhost) {
    auto path = pod_socket_path(socket_directory_, attachment);
    if (!path) return path.error();
    attachment.vhost = VhostSocket{*std::move(path), *request.vhost};
  }
  return attachment;
}

PodLink PodManager::link_of(const Attachment& attachment) const {
  return {.node = {attachment.host_interface, attachment.host_mac},
          .pod = {attachment.key.ifname, attachment.mac},
          .mtu = attachment.mtu,
          .addresses = attachment.addresses,
          .routes = attachment.routes,
          .gateway_ipv4 = host_.gateway_ipv4,
          .gateway_ipv6 = host_.gateway_ipv6};
}

bool PodManager::is_extra(const net::IpAddress& address) const {
  return blocks_.use([&](const std::vector<AddressBlock>& blocks) {
    return std::ranges::none_of(blocks, [&](const AddressBlock& block) { return block.block().contains(address); });
  });
}

net::Result<AddedPod> PodManager::add(const PodRequest& request) {
  const KeyLocks::Guard guard(locks_, request.key);
  auto netns = Netns::open(request.netns);
  if (!netns) return netns.error();
  if (auto in_sync = switch_.check_in_sync(); !in_sync) return in_sync.error();
  auto existing = store_.find(request.key);
  if (!existing) return existing.error();
  if (request.step == api::ADD_POD_STEP_COMPLETE) return complete(request, *netns, *existing);
  if (*existing && (*existing)->state != AttachmentState::kActive) {
    // What an earlier ADD or DEL could not take away: it can be tried again now.
    if (auto gone = tear_down(**existing, true); !gone) return gone.error();
  }
  auto planned = plan(request);
  if (!planned) return planned.error();
  const bool prepares = planned->dhcp;
  auto attachment = begin_attachment(store_, blocks_, *planned,
                                     {.blocks = nullptr, .wanted = request.wanted, .delegated = request.delegated});
  if (!attachment) return attachment.error();

  bool link_made = false;
  auto generation = connect(*netns, *attachment, link_made);
  if (generation && !prepares) {
    if (auto active = store_.set_state(attachment->id, AttachmentState::kActive); !active) generation = active.error();
  }
  if (!generation) {
    if (auto undone = tear_down(*attachment, link_made); !undone) {
      spdlog::error("{}: undoing the ADD: {}", request.key.to_string(), undone.error().message);
    }
    spdlog::warn("ADD {}: {}", request.key.to_string(), generation.error().message);
    return generation.error();
  }
  spdlog::info("ADD {} {}/{}: {}{}", request.key.to_string(), request.pod_namespace, request.pod_name,
               attachment->host_interface, prepares ? " waits for its lease" : "");
  return added_pod(*attachment, *generation);
}

AddedPod PodManager::added_pod(const Attachment& attachment, std::uint64_t generation) const {
  const PodLink link = link_of(attachment);
  AddedPod added{.attachment = attachment, .gateways = {}, .routes = pod_routes(link), .generation = generation};
  for (const net::IpAddress& address : attachment.addresses) added.gateways.push_back(link.gateway_for(address));
  return added;
}

net::Result<AddedPod> PodManager::complete(const PodRequest& request, const Netns& netns,
                                           const std::optional<Attachment>& prepared) {
  if (!prepared || !prepared->dhcp || prepared->state != AttachmentState::kAdding || !prepared->addresses.empty()) {
    return net::failed_precondition("attachment " + request.key.to_string() +
                                    " is not prepared: it was deleted since, or the agent was restarted");
  }
  Attachment planned = *prepared;
  auto routes = plan_routes(request.routes, route_context(request, planned.mtu));
  if (!routes) return routes.error();
  planned.routes = *std::move(routes);
  auto attachment = store_.give_addresses(std::move(planned), request.delegated);
  if (!attachment) return attachment.error();
  if (auto fits = check_mtu(*attachment); !fits) return fits.error();
  if (auto configured = configure_pod_addresses(netns, link_of(*attachment)); !configured) return configured.error();
  auto generation = open_port(*attachment);
  if (!generation) return generation.error();
  if (auto active = store_.set_state(attachment->id, AttachmentState::kActive); !active) return active.error();
  spdlog::info("ADD {}: has its lease", request.key.to_string());
  return added_pod(*attachment, *generation);
}

net::Result<std::uint64_t> PodManager::connect(const Netns& netns, const Attachment& attachment, bool& link_made) {
  if (attachment.addresses.empty() && !attachment.dhcp) {
    return net::failed_precondition("ipam: no pool is configured and no address was delegated");
  }
  if (auto fits = check_mtu(attachment); !fits) return fits.error();
  if (attachment.vhost) {
    link_made = true;
    if (auto made = make_socket_directory(*attachment.vhost); !made) return made.error();
    return open_port(attachment);
  }
  if (auto made = create_pod_link(netns, link_of(attachment)); !made) {
    link_made = made.error().code != net::ErrorCode::kAlreadyExists;
    return made.error();
  }
  link_made = true;
  return open_port(attachment);
}

net::Result<std::uint64_t> PodManager::open_port(const Attachment& attachment) {
  for (const net::IpAddress& address : attachment.addresses) {
    if (!is_extra(address)) continue;
    if (auto routed = add_pod_route(host_, host_prefix(address)); !routed) return routed.error();
  }
  return switch_.add_port(pod_port(attachment, masquerade_));
}

net::Result<void> PodManager::tear_down(const Attachment& attachment, bool link_made) {
  // The switch first: it lets go of the interface before that vanishes under it.
  if (auto removed = switch_.remove_port(attachment.host_interface); !removed) {
    const bool away = removed.error().code == net::ErrorCode::kUnavailable;
    spdlog::log(away ? spdlog::level::debug : spdlog::level::warn, "{}: {}", attachment.key.to_string(),
                removed.error().message);
  }
  if (link_made) {
    if (auto removed = remove_pod_end(store_, attachment); !removed) return removed;
  }
  for (const net::IpAddress& address : attachment.addresses) {
    if (!is_extra(address)) continue;
    if (auto removed = remove_pod_route(host_, host_prefix(address)); !removed) return removed;
  }
  return blocks_.use([&](const auto& blocks) { return store_.finish_delete(attachment.id, blocks); });
}

net::Result<void> PodManager::del(const AttachmentKey& key) {
  const KeyLocks::Guard guard(locks_, key);
  auto existing = store_.find(key);
  if (!existing) return existing.error();
  if (!*existing) return remove_leftover(key);
  if (auto marked = store_.set_state((*existing)->id, AttachmentState::kDeleting); !marked) return marked;
  auto gone = tear_down(**existing, true);
  if (gone) spdlog::info("DEL {}", key.to_string());
  return gone;
}

net::Result<void> PodManager::remove_leftover(const AttachmentKey& key) {
  // No row, so normally nothing. But a state directory can be lost, and the name follows from the key.
  const std::string name = host_interface_name(host_.name, key);
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  if (auto link = netlink->link(name); !link) return {};
  spdlog::info("DEL {}: {} is there without a record and goes", key.to_string(), name);
  if (auto removed = switch_.remove_port(name); !removed) spdlog::debug("{}: {}", name, removed.error().message);
  return netlink::remove_link_if_there(name);
}

net::Result<void> PodManager::check(const AttachmentKey& key, const std::string& netns_path,
                                    const std::vector<net::IpAddress>& addresses) {
  const KeyLocks::Guard guard(locks_, key);
  auto existing = store_.find(key);
  if (!existing) return existing.error();
  if (!*existing || (*existing)->state != AttachmentState::kActive) {
    return net::not_found("attachment " + key.to_string() + " is not there");
  }
  for (const net::IpAddress& address : addresses) {
    const auto& ours = (*existing)->addresses;
    if (std::find(ours.begin(), ours.end(), address) == ours.end()) {
      return net::failed_precondition("addresses: " + address.to_string() + " is not an address of the attachment");
    }
  }
  auto netns = Netns::open(netns_path);
  if (!netns) return netns.error();
  if (const auto& vhost = (*existing)->vhost) {
    if (!socket_directory_is_there(vhost->path)) {
      return net::failed_precondition("the directory of the pod's socket " + vhost->path + " is gone");
    }
  } else if (auto checked = check_pod_link(*netns, link_of(**existing)); !checked) {
    return checked;
  }
  return switch_.check_port((*existing)->host_interface);
}

void PodManager::note_gone(const std::optional<std::string>& name) {
  // What a DEL takes away it has told the switch before.
  if (name && !switch_.has_port(*name)) return;
  auto attachments = store_.list();
  if (!attachments) return spdlog::error("interfaces that went: {}", attachments.error().message);
  for (const Attachment& attachment : *attachments) {
    const std::string& interface = attachment.host_interface;
    if (attachment.vhost || (name && interface != *name)) continue;
    const KeyLocks::Guard guard(locks_, attachment.key);
    // Behind the lock: a DEL and an ADD may have come since, and the name is the same each time.
    if (!switch_.has_port(interface) || if_nametoindex(interface.c_str()) != 0) continue;
    spdlog::warn("{}: {} went without a DEL: its port goes, its addresses are kept", attachment.key.to_string(),
                 interface);
    if (auto removed = switch_.remove_port(interface); !removed) {
      spdlog::debug("{}: {}", interface, removed.error().message);
    }
  }
}

net::Result<std::uint32_t> PodManager::gc(const std::string& network, const std::vector<AttachmentKey>& valid) {
  auto attachments = store_.list();
  if (!attachments) return attachments.error();
  std::uint32_t removed = 0;
  net::Result<void> last;
  for (const Attachment& attachment : *attachments) {
    if (attachment.key.network != network) continue;
    if (std::find(valid.begin(), valid.end(), attachment.key) != valid.end()) continue;
    // One that cannot be removed does not keep the others.
    if (auto gone = del(attachment.key); gone) {
      ++removed;
    } else {
      last = gone;
    }
  }
  if (!last) return last.error();
  return removed;
}

}  // namespace millrace::control::agent
