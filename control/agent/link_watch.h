/// Tells at once which interfaces of the node have gone, for a pod's namespace may be deleted with no CNI DEL, and that
/// the node's addresses are not what they were.
///
/// Shape:   a thread sleeps on an rtnetlink socket of the groups of links and addresses. It calls `gone` with the name
///          in each RTM_DELLINK; with no name when names may have been missed: once at the start, and when the kernel
///          had more messages than the socket holds. It calls `readdressed` behind any number of RTM_NEWADDR and
///          RTM_DELADDR, and where names may have been missed. What was said may be over when it is read: ask the
///          kernel.
/// Errors:  start: kPermissionDenied, kInternal of the socket.
/// Thread:  both are called on the watch's own thread, one call after another; not after the destructor.
/// Source:  rtnetlink(7); netlink(7) on ENOBUFS.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "net/result.h"

struct nl_msg;
struct nl_sock;

namespace millrace::control::agent {

class LinkWatch {
 public:
  using Gone = std::function<void(const std::optional<std::string>& name)>;

  using Readdressed = std::function<void()>;

  /// Watches the calling thread's network namespace. `readdressed` may be null.
  static net::Result<std::unique_ptr<LinkWatch>> start(Gone gone, Readdressed readdressed = nullptr);
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  ~LinkWatch();

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  LinkWatch(nl_sock* socket, int stop_fd, Gone gone, Readdressed readdressed)
      : gone_(std::move(gone)), readdressed_(std::move(readdressed)), socket_(socket), stop_fd_(stop_fd) {}
  static int on_message(nl_msg* message, void* watch);
  void run();
  void all_may_differ();

  const Gone gone_;
  const Readdressed readdressed_;
  bool saw_address_ = false;  // since readdressed_ was called
  std::unique_ptr<nl_sock, Close> socket_;
  const int stop_fd_;  // an eventfd: readable when it is time to end
  std::thread thread_;
};

}  // namespace millrace::control::agent
