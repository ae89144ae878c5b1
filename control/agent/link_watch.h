/// Tells at once which interfaces of the node have gone: a pod's namespace may be deleted with no CNI DEL.
///
/// Shape:   a thread sleeps on an rtnetlink socket of the group RTNLGRP_LINK and calls `gone` with the name in each
///          RTM_DELLINK; with no name when names may have been missed: once at the start, and when the kernel had more
///          messages than the socket holds. What was said may be over when it is read: ask the kernel.
/// Errors:  start: kPermissionDenied, kInternal of the socket.
/// Thread:  `gone` is called on the watch's own thread, one call after another; not after the destructor.
/// Source:  rtnetlink(7); netlink(7) on ENOBUFS.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "net/result.h"

struct nl_sock;

namespace millrace::control::agent {

class LinkWatch {
 public:
  using Gone = std::function<void(const std::optional<std::string>& name)>;

  /// Watches the calling thread's network namespace.
  static net::Result<std::unique_ptr<LinkWatch>> start(Gone gone);
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  ~LinkWatch();

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  LinkWatch(nl_sock* socket, int stop_fd, Gone gone) : gone_(std::move(gone)), socket_(socket), stop_fd_(stop_fd) {}
  void run();

  const Gone gone_;
  std::unique_ptr<nl_sock, Close> socket_;
  const int stop_fd_;  // an eventfd: readable when it is time to end
  std::thread thread_;
};

}  // namespace millrace::control::agent
