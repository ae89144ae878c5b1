/// VhostSocket: a guest's socket as DPDK's one thread for all guests reads and writes it, without waiting for the guest.
///
/// Theory:  DPDK 22.11 reads a message's header, then waits for its payload as long as the guest pleases, and an answer
///          that does not fit into the socket waits until the guest has read others. Meanwhile no other guest's message
///          is handled, none is connected, and no port is closed. So the three calls that it makes for this are taken
///          over by the linker (ld, --wrap): read_fd_message and send_fd_message, which are its own, and read. A payload
///          is received here, for as long as the port's WaitBudget lets it, before DPDK sees the header; DPDK's read()
///          then gets what is here already. Before an answer is sent, the socket is looked at. A guest that is too
///          slow has its connection ended: it may come again.
/// Descriptors: those that came with a message are this file's until DPDK hands it to VhostEvents (vhost_link.cc), for
///          DPDK forgets them when it cannot make the ring that the message is about.
/// Thread:  vhost-events; __wrap_read: any.
/// Source:  DPDK 22.11, lib/vhost/socket.c, vhost_user.c; QEMU, docs/interop/vhost-user.rst, "Message Specification".
#pragma once

namespace millrace::datapath::io::vhost_socket {

/// DPDK has handed on the message that was read last: the descriptors that came with it are its own now, or the
/// handler's.
void hand_over() noexcept;
/// The connection ends. What was not handed over is closed.
void close_left() noexcept;

}  // namespace millrace::datapath::io::vhost_socket
