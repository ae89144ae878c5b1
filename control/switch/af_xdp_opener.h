/// AfXdpOpener: opens queue 0 of a kernel interface over AF_XDP.
///
/// Pod interfaces and the host port are veths that the agent makes with one queue.
/// Errors:  those of datapath::io::AfXdpPort::open.
/// Thread:  as PortOpener.
#pragma once

#include <string>

#include "control/switch/port_opener.h"
#include "datapath/io/mbuf_pool.h"

namespace millrace::control::switchd {

class AfXdpOpener final : public PortOpener {
 public:
  /// `pool` must outlive every port that is opened.
  explicit AfXdpOpener(datapath::io::MbufPool& pool) : pool_(pool) {}

  net::Result<OpenPort> open(const std::string& interface) override;
  DeviceStatus inspect(const OpenPort& open) const override;

 private:
  datapath::io::MbufPool& pool_;
};

}  // namespace millrace::control::switchd
