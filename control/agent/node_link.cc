#include "control/agent/node_link.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>
#include <vector>

#include "control/agent/interface_name.h"
#include "control/agent/sysctl.h"
#include "control/api/grpc_status.h"
#include "control/api/switch.grpc.pb.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {
namespace {

constexpr std::uint32_t kMtuBytes = 1500;  // until a person sets another

std::string switch_end(const config::Config& config) { return config.uplink + "s"; }

/// The node's end.
net::Result<netlink::LinkInfo> find_or_make(netlink::Netlink& netlink, const config::Config& config) {
  auto found = netlink.link(config.uplink);
  if (!found && found.error().code == net::ErrorCode::kNotFound) {
    const AttachmentKey key{"", "", config.uplink};
    auto made = netlink.add_veth({config.uplink, mac_of(config.uplink, key, "node")},
                                 {switch_end(config), mac_of(config.uplink, key, "switch")}, -1, kMtuBytes);
    if (!made) return made.error();
    return netlink.link(config.uplink);
  }
  if (!found) return found;
  const auto other = netlink.link(switch_end(config));
  if (!found->is_veth || !other || other->index != found->peer_index) {
    return net::failed_precondition("uplink: with uplinkDevice, " + config.uplink +
                                    " is made as one end of a veth pair with " + switch_end(config) +
                                    ", and an interface of that name is there already; choose another name");
  }
  return found;
}

}  // namespace

net::Result<void> ensure_node_link(const config::Config& config) {
  if (config.uplink_device.empty()) return {};
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  const auto node_end = find_or_make(*netlink, config);
  if (!node_end) return node_end.error();
  const auto other_end = netlink->link(switch_end(config));
  if (!other_end) return other_end.error();
  // The kernel has nothing to say on the switch's end.
  if (has_ipv6()) {
    const std::string setting = "ipv6/conf/" + switch_end(config) + "/disable_ipv6";
    if (auto written = write_sysctl(setting, "1"); !written) spdlog::warn("{}", written.error().message);
  }
  if (other_end->mtu != node_end->mtu) {
    if (auto set = netlink->set_mtu(other_end->index, node_end->mtu); !set) return set;
  }
  if (auto up = netlink->set_up(other_end->index); !up) return up;
  return netlink->set_up(node_end->index);
}

net::Result<void> open_node_network(const std::string& switch_socket, const std::vector<api::PortSpec>& ports,
                                    std::chrono::milliseconds patience) {
  const auto channel = grpc::CreateChannel("unix:" + switch_socket, grpc::InsecureChannelCredentials());
  const auto stub = api::Switch::NewStub(channel);
  api::ApplyRequest request;
  for (const api::PortSpec& port : ports) *request.add_upsert_ports() = port;
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + patience);
  api::ApplyReply reply;
  const grpc::Status status = stub->Apply(&context, request, &reply);
  if (status.ok()) return {};
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return net::unavailable("the switch was not reached yet at " + switch_socket);
  }
  const net::Error error = api::to_error(status);
  return net::Error{error.code, "switch: " + error.message};
}

net::Result<void> remove_node_link(const config::Config& config) {
  if (config.uplink_device.empty()) return {};
  return netlink::remove_link_if_there(switch_end(config));
}

api::PortSpec node_link_port(const config::Config& config, const api::PortSpec& uplink) {
  api::PortSpec port;
  port.set_name(kNodeLinkPort);
  port.set_kind(api::PORT_KIND_NODE_LINK);
  port.set_interface(switch_end(config));
  port.set_mac(uplink.mac());
  port.set_mtu(uplink.mtu());
  port.set_description("the node's own network");
  return port;
}

}  // namespace millrace::control::agent
