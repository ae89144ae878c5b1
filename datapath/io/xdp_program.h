/// XdpProgram: an XDP program that gives packets to sockets, loaded once for many ports: that of pods and the host port
/// (xdp/port.bpf.c), or that of uplinks (uplink_program.h). XdpLink: its attachment to one interface.
///
/// Theory:  attached through a BPF link: the kernel takes the program off when the last descriptor of the link is
///          closed, so nothing stays behind a process that was killed. Native mode first; generic where the driver
///          has no XDP or the interface's MTU is too large for it. Ports share a program because each program of its
///          own that is attached or taken off costs a grace period of RCU (about 10 ms) under the kernel's rtnl lock.
/// Shape:   a socket's slot is its interface's number modulo the interfaces that the map has room for, times the queues
///          of each, and its queue. Two interfaces whose numbers differ by a multiple of that room (65536; of uplinks
///          1024, with 64 queues each) cannot share a program: the later one gets another.
/// Thread:  control, any.
/// Errors:  kFailedPrecondition with the kernel's reason; kPermissionDenied without CAP_BPF and CAP_NET_ADMIN.
/// Source:  kernel Documentation/bpf/libbpf, bpf(2) BPF_LINK_CREATE with BPF_XDP; kernel/bpf/dispatcher.c.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "net/result.h"

namespace millrace::datapath::io {

enum class XdpMode { kNative, kGeneric };

class XdpProgram {
 public:
  static net::Result<std::shared_ptr<const XdpProgram>> load();
  /// `skeleton` owns the two descriptors; `sockets` is an XSKMAP of so many slots, `queues` of them an interface.
  static std::shared_ptr<const XdpProgram> of(std::shared_ptr<void> skeleton, int program, int sockets,
                                              std::uint32_t slots, std::uint32_t queues);
  XdpProgram(const XdpProgram&) = delete;
  XdpProgram& operator=(const XdpProgram&) = delete;

  /// Makes `socket` (an AF_XDP descriptor) the one that gets the queue's packets, until the socket is closed.
  /// Error:   kAlreadyExists when another interface has the slot; kInvalidArgument for a queue that has none.
  net::Result<void> add_socket(unsigned interface_index, std::uint32_t queue, int socket) const;
  int descriptor() const noexcept { return program_; }

 private:
  XdpProgram(std::shared_ptr<void> skeleton, int program, int sockets, std::uint32_t slots,
             std::uint32_t queues) noexcept
      : skeleton_(std::move(skeleton)), program_(program), sockets_(sockets), slots_(slots), queues_(queues) {}

  std::shared_ptr<void> skeleton_;
  int program_;
  int sockets_;
  std::uint32_t slots_;
  std::uint32_t queues_;
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
