/// XdpProgram: the XDP program of one port (xdp/port.bpf.c), loaded and attached to its interface.
///
/// Theory:  attached through a BPF link: the kernel takes the program off when the last descriptor of the link is
///          closed, so nothing stays behind a process that was killed. Native mode first; generic where the driver
///          has no XDP or the interface's MTU is too large for it.
/// Thread:  control.
/// Errors:  kFailedPrecondition with the kernel's reason; kPermissionDenied without CAP_BPF and CAP_NET_ADMIN.
/// Source:  kernel Documentation/bpf/libbpf, bpf(2) BPF_LINK_CREATE with BPF_XDP.
#pragma once

#include <cstdint>
#include <string>

#include "net/result.h"

struct port_bpf;

namespace millrace::datapath::io {

enum class XdpMode { kNative, kGeneric };

class XdpProgram {
 public:
  static net::Result<XdpProgram> load(std::uint32_t queue);
  ~XdpProgram();
  XdpProgram(XdpProgram&& other) noexcept;
  XdpProgram& operator=(XdpProgram&& other) noexcept;
  XdpProgram(const XdpProgram&) = delete;
  XdpProgram& operator=(const XdpProgram&) = delete;

  /// Makes `socket` (an AF_XDP descriptor) the one that gets the queue's packets.
  net::Result<void> set_socket(std::uint32_t queue, int socket);
  net::Result<XdpMode> attach(const std::string& interface, unsigned interface_index);

 private:
  XdpProgram() = default;
  port_bpf* skeleton_ = nullptr;
  int link_ = -1;
};

}  // namespace millrace::datapath::io
