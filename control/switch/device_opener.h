/// DeviceOpener: opens what a port names: a kernel interface over AF_XDP, a guest's vhost-user socket, or for an uplink
/// a device that DPDK drives, or a socket (uplink_socket.h).
///
/// Shape:   a device has as many queues as there are workers, or all it has when these are fewer. It is opened with the
///          MTU that the node's end of the node link has then; that end gets the device's MAC, the one that a network
///          which filters by MAC lets through. A device is dead when it was taken out, or when the node's end is gone:
///          one that is made anew has another number, which ways to other nodes are known by. A socket is never dead:
///          its guest may come and go, and inspect says whether it is there. One of a pod (SocketDirectory) takes any
///          user that comes to it, and is not opened where a link might lead elsewhere.
/// Errors:  those of AfXdpOpener, datapath::io::VhostPort and DpdkDevice; kNotFound when the node's end is not there. A
///          device whose dead port is not closed yet cannot be opened: the same request works when the one before it
///          has returned.
/// Thread:  as PortOpener.
#pragma once

#include <memory>
#include <utility>

#include "control/switch/af_xdp_opener.h"
#include "control/switch/port_opener.h"
#include "control/switch/socket_directory.h"
#include "datapath/io/mbuf_pool.h"

namespace millrace::control::switchd {

class DeviceOpener final : public PortOpener {
 public:
  /// `pool` must outlive every port that is opened.
  DeviceOpener(datapath::io::MbufPool& pool, unsigned worker_count, SocketDirectory sockets)
      : pool_(pool), worker_count_(worker_count), sockets_(std::move(sockets)), interfaces_(pool) {}

  net::Result<OpenPort> open(const PortRequest& request) override;
  net::Result<void> widen_uplinks(const datapath::UplinkRules& rules) override {
    return interfaces_.widen_uplinks(rules);
  }
  net::Result<void> narrow_uplinks(const datapath::UplinkRules& rules) override {
    return interfaces_.narrow_uplinks(rules);
  }
  DeviceStatus inspect(const OpenPort& open) const override;
  bool is_dead(const OpenPort& open) const override;

 private:
  net::Result<OpenPort> open_device(const PortRequest& request);
  net::Result<OpenPort> open_uplink_socket(const PortRequest& request);
  net::Result<OpenPort> open_socket(const PortRequest& request);

  datapath::io::MbufPool& pool_;
  const unsigned worker_count_;
  const SocketDirectory sockets_;
  AfXdpOpener interfaces_;
};

}  // namespace millrace::control::switchd
