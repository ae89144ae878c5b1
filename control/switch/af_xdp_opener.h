/// AfXdpOpener: opens kernel interfaces over AF_XDP: queue 0 of a pod's and of the host port, all of an uplink.
///
/// Pod interfaces and the host port are veths that the agent makes with one queue. An uplink has as many sockets as it
/// has receive queues when it is opened; what comes by a queue that it is given later stays the kernel's. Pods' and
/// host ports have one XDP program, uplinks another; each is loaded with the first port that needs it
/// (datapath/io/xdp_program.h says why).
/// Errors:  those of datapath::io::AfXdpPort::open and XdpProgram::load; kFailedPrecondition for an uplink of more than
///          kUplinkQueueLimit queues.
/// Thread:  as PortOpener.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "control/switch/port_opener.h"
#include "datapath/io/mbuf_pool.h"
#include "datapath/io/uplink_program.h"
#include "datapath/io/xdp_program.h"

namespace millrace::control::switchd {

/// Receive queues of an uplink. The XDP program has as many slots for each.
inline constexpr unsigned kUplinkQueueLimit = 64;

class AfXdpOpener final : public PortOpener {
 public:
  /// `pool` must outlive every port that is opened.
  explicit AfXdpOpener(datapath::io::MbufPool& pool);
  ~AfXdpOpener() override;
  AfXdpOpener(const AfXdpOpener&) = delete;
  AfXdpOpener& operator=(const AfXdpOpener&) = delete;

  net::Result<OpenPort> open(const PortRequest& request) override;
  net::Result<void> widen_uplinks(const datapath::UplinkRules& rules) override;
  net::Result<void> narrow_uplinks(const datapath::UplinkRules& rules) override;
  DeviceStatus inspect(const OpenPort& open) const override;
  bool is_dead(const OpenPort& open) const override;
  /// The kernel's number of an interface; 0: there is none.
  unsigned number_of(const std::string& interface) const noexcept;

 private:
  net::Result<std::shared_ptr<const datapath::io::XdpProgram>> program(datapath::PortKind kind);

  datapath::io::MbufPool& pool_;
  const int socket_;  // to ask for interface numbers: if_nametoindex makes and closes a socket for every question
  std::mutex mutex_;  // guards the programs
  std::shared_ptr<const datapath::io::XdpProgram> program_;
  std::unique_ptr<datapath::io::UplinkProgram> uplinks_;  // loaded with the first uplink
};

}  // namespace millrace::control::switchd
