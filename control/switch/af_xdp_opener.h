/// AfXdpOpener: opens queue 0 of a kernel interface over AF_XDP.
///
/// Pod interfaces and the host port are veths that the agent makes with one queue. All ports have one XDP program,
/// which is loaded with the first of them (datapath/io/xdp_program.h says why). Errors:  those of
/// datapath::io::AfXdpPort::open and XdpProgram::load. Thread:  as PortOpener.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "control/switch/port_opener.h"
#include "datapath/io/mbuf_pool.h"
#include "datapath/io/xdp_program.h"

namespace millrace::control::switchd {

class AfXdpOpener final : public PortOpener {
 public:
  /// `pool` must outlive every port that is opened.
  explicit AfXdpOpener(datapath::io::MbufPool& pool);
  ~AfXdpOpener() override;
  AfXdpOpener(const AfXdpOpener&) = delete;
  AfXdpOpener& operator=(const AfXdpOpener&) = delete;

  net::Result<OpenPort> open(const std::string& interface) override;
  DeviceStatus inspect(const OpenPort& open) const override;
  bool is_dead(const OpenPort& open) const override;

 private:
  net::Result<std::shared_ptr<const datapath::io::XdpProgram>> program();
  unsigned number_of(const std::string& interface) const noexcept;

  datapath::io::MbufPool& pool_;
  const int socket_;  // to ask for interface numbers: if_nametoindex makes and closes a socket for every question
  std::mutex mutex_;  // guards program_
  std::shared_ptr<const datapath::io::XdpProgram> program_;
};

}  // namespace millrace::control::switchd
