/// XdpProgram: the XDP program (xdp/port.bpf.c), loaded once for many ports. XdpLink: its attachment to one interface.
///
/// Theory:  attached through a BPF link: the kernel takes the program off when the last descriptor of the link is
///          closed, so nothing stays behind a process that was killed. Native mode first; generic where the driver
///          has no XDP or the interface's MTU is too large for it. Ports share a program because each program of its
///          own that is attached or taken off costs a grace period of RCU (about 10 ms) under the kernel's rtnl lock.
/// Shape:   a socket's slot is its interface's number modulo the map's size (65536). Two interfaces whose numbers
///          differ by a multiple of that cannot share a program: the later one gets another.
/// Thread:  control, any.
/// Errors:  kFailedPrecondition with the kernel's reason; kPermissionDenied without CAP_BPF and CAP_NET_ADMIN.
/// Source:  kernel Documentation/bpf/libbpf, bpf(2) BPF_LINK_CREATE with BPF_XDP; kernel/bpf/dispatcher.c.
#pragma once

#include <memory>
#include <string>

#include "net/result.h"

struct port_bpf;

namespace millrace::datapath::io {

enum class XdpMode { kNative, kGeneric };

class XdpProgram {
 public:
  static net::Result<std::shared_ptr<const XdpProgram>> load();
  ~XdpProgram();
  XdpProgram(const XdpProgram&) = delete;
  XdpProgram& operator=(const XdpProgram&) = delete;

  /// Makes `socket` (an AF_XDP descriptor) the one that gets the interface's packets, until the socket is closed.
  /// Error:   kAlreadyExists when another interface has the slot.
  net::Result<void> add_socket(unsigned interface_index, int socket) const;
  int descriptor() const noexcept;

 private:
  explicit XdpProgram(port_bpf* skeleton) noexcept : skeleton_(skeleton) {}
  port_bpf* skeleton_;
};

class XdpLink {
 public:
  static net::Result<XdpLink> attach(std::shared_ptr<const XdpProgram> program, const std::string& interface,
                                     unsigned interface_index);
  ~XdpLink();
  XdpLink(XdpLink&& other) noexcept;
  XdpLink(const XdpLink&) = delete;
  XdpLink& operator=(const XdpLink&) = delete;
  XdpLink& operator=(XdpLink&&) = delete;

  XdpMode mode() const noexcept { return mode_; }

 private:
  XdpLink(std::shared_ptr<const XdpProgram> program, int link, XdpMode mode) noexcept;
  std::shared_ptr<const XdpProgram> program_;
  int link_;
  XdpMode mode_;
};

}  // namespace millrace::datapath::io
