#include "control/switch/device_opener.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "control/netlink/netlink.h"
#include "control/switch/port_config.h"
#include "control/switch/uplink_socket.h"
#include "datapath/io/dpdk_device.h"
#include "datapath/io/vhost_port.h"

namespace millrace::control::switchd {
namespace {

using datapath::io::DpdkDevice;
using datapath::io::VhostPort;

static_assert(kVhostPairLimit == datapath::io::kVhostQueuePairs);

bool is_socket(const OpenPort& open) { return open.vhost || is_uplink_socket(open.device); }

const DpdkDevice& device_of(const OpenPort& open) {
  return static_cast<const datapath::io::DpdkQueue&>(*open.queues.front()).device();
}

/// The node's end of the node link, which has the MAC that the network knows the node by from then on.
net::Result<netlink::LinkInfo> give_mac(netlink::Netlink& netlink, const std::string& interface, const net::Mac& mac) {
  auto node_end = netlink.link(interface);
  if (!node_end || node_end->mac == mac) return node_end;
  if (auto set = netlink.set_mac(node_end->index, mac); !set) return set.error();
  return node_end;
}

}  // namespace

net::Result<OpenPort> DeviceOpener::open(const PortRequest& request) {
  if (request.vhost) return open_socket(request);
  if (request.device.empty()) return interfaces_.open(request);
  return is_uplink_socket(request.device) ? open_uplink_socket(request) : open_device(request);
}

net::Result<OpenPort> DeviceOpener::open_socket(const PortRequest& request) {
  const bool is_of_pod = sockets_.covers(request.interface);
  if (is_of_pod) {
    if (auto shielded = sockets_.check(); !shielded) return shielded.error();
  }
  auto port = VhostPort::open(pool_, {.path = request.interface,
                                      .is_client = request.vhost->is_client,
                                      .queue_pairs = request.vhost->queue_pairs,
                                      .mode = is_of_pod ? kPodSocketMode : 0});
  if (!port) return port.error();
  OpenPort open{.queues = {}, .interface = request.interface, .kind = request.kind, .vhost = request.vhost};
  open.queues.push_back(std::move(port).value());
  return open;
}

net::Result<OpenPort> DeviceOpener::open_uplink_socket(const PortRequest& request) {
  const auto socket = parse_uplink_socket(request.device);
  if (!socket) return socket.error();
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  const auto node_end = give_mac(*netlink, request.interface, socket->mac);
  if (!node_end) return node_end.error();
  auto port = VhostPort::open(pool_, {.path = socket->path, .is_client = socket->is_client});
  if (!port) return port.error();
  spdlog::info("socket {}: MAC {}, the node's end is {}", socket->path, socket->mac.to_string(), request.interface);
  OpenPort open{.queues = {},
                .interface = request.interface,
                .interface_number = static_cast<unsigned>(node_end->index),
                .kind = request.kind,
                .device = request.device,
                .mac = socket->mac};
  open.queues.push_back(std::move(port).value());
  return open;
}

net::Result<OpenPort> DeviceOpener::open_device(const PortRequest& request) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  const auto node_end = netlink->link(request.interface);
  if (!node_end) return node_end.error();
  auto device = DpdkDevice::open(pool_, {.device = request.device,
                                         .queues = std::min(worker_count_, kUplinkQueueLimit),
                                         .mtu_bytes = static_cast<std::uint16_t>(std::min(node_end->mtu, 65535u))});
  if (!device) return device.error();
  const net::Mac mac = (*device)->mac();
  if (auto given = give_mac(*netlink, request.interface, mac); !given) return given.error();
  spdlog::info("device {}: queues {}, MAC {}, MTU {}, the node's end is {}", request.device, (*device)->queue_count(),
               mac.to_string(), node_end->mtu, request.interface);
  OpenPort open{.queues = {},
                .interface = request.interface,
                .interface_number = static_cast<unsigned>(node_end->index),
                .kind = request.kind,
                .device = request.device,
                .mac = mac};
  for (unsigned i = 0; i < (*device)->queue_count(); ++i) open.queues.push_back((*device)->queue(i));
  return open;
}

DeviceStatus DeviceOpener::inspect(const OpenPort& open) const {
  if (is_socket(open)) {
    const datapath::io::VhostStatus guest = static_cast<const VhostPort&>(*open.queues.front()).status();
    return {.xdp_mode = "",
            .dead = is_dead(open),
            .kernel_dropped = guest.rx_refused,
            .guest = VhostGuest{guest.is_connected, guest.queue_pairs, guest.is_packed, guest.has_lost_memory,
                                guest.memory_losses, guest.refusals}};
  }
  if (open.device.empty()) return interfaces_.inspect(open);
  const datapath::io::DpdkStatistics lost = device_of(open).statistics();
  return {.xdp_mode = "", .dead = is_dead(open), .kernel_dropped = lost.rx_missed + lost.rx_no_frame + lost.rx_errors};
}

bool DeviceOpener::is_dead(const OpenPort& open) const {
  if (open.vhost) return false;  // a guest may come back
  if (open.device.empty()) return interfaces_.is_dead(open);
  if (interfaces_.number_of(open.interface) != open.interface_number) return true;
  return !is_uplink_socket(open.device) && device_of(open).is_removed();
}

}  // namespace millrace::control::switchd
