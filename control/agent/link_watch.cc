#include "control/agent/link_watch.h"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "control/netlink/nl_object.h"

namespace millrace::control::agent {
namespace {

constexpr int kReceiveBufferBytes = 1 << 20;  // about 500 interfaces that go at the same moment

}  // namespace

/// libnl's callback of each message.
int LinkWatch::on_message(nl_msg* message, void* watch) {
  auto& self = *static_cast<LinkWatch*>(watch);
  nlmsghdr* header = nlmsg_hdr(message);
  self.saw_address_ |= header->nlmsg_type == RTM_NEWADDR || header->nlmsg_type == RTM_DELADDR;
  if (header->nlmsg_type != RTM_DELLINK) return NL_OK;
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (nlmsg_parse(header, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) return NL_OK;
  // A bridge says of a port that leaves it the same words, in a family of its own.
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  if (info->ifi_family != AF_UNSPEC || attributes[IFLA_IFNAME] == nullptr) return NL_OK;
  self.gone_(std::string(nla_get_string(attributes[IFLA_IFNAME])));
  return NL_OK;
}

void LinkWatch::Close::operator()(nl_sock* socket) const { nl_socket_free(socket); }

net::Result<std::unique_ptr<LinkWatch>> LinkWatch::start(Gone gone, Readdressed readdressed) {
  nl_sock* socket = nl_socket_alloc();
  const int stop_fd = eventfd(0, EFD_CLOEXEC);
  if (socket == nullptr || stop_fd < 0) {
    if (socket != nullptr) nl_socket_free(socket);
    if (stop_fd >= 0) close(stop_fd);
    return netlink::nl_out_of_memory();
  }
  std::unique_ptr<LinkWatch> watch(new LinkWatch(socket, stop_fd, std::move(gone), std::move(readdressed)));
  nl_socket_disable_seq_check(socket);  // what nobody asked for has no number
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_message, watch.get());
  if (const int code = nl_connect(socket, NETLINK_ROUTE); code < 0) return netlink::nl_error("link watch", code);
  if (const int code = nl_socket_set_buffer_size(socket, kReceiveBufferBytes, 0); code < 0) {
    return netlink::nl_error("link watch: buffer", code);
  }
  if (const int code = nl_socket_set_nonblocking(socket); code < 0) return netlink::nl_error("link watch", code);
  if (const int code =
          nl_socket_add_memberships(socket, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NONE);
      code < 0) {
    return netlink::nl_error("link watch: groups", code);
  }
  watch->thread_ = std::thread([raw = watch.get()] { raw->run(); });
  return watch;
}

LinkWatch::~LinkWatch() {
  const std::uint64_t one = 1;
  if (thread_.joinable() && write(stop_fd_, &one, sizeof(one)) == sizeof(one)) thread_.join();
  close(stop_fd_);
}

void LinkWatch::all_may_differ() {
  gone_(std::nullopt);
  saw_address_ = true;
}

void LinkWatch::run() {
  all_may_differ();  // since before the watch began
  std::array<pollfd, 2> waiting = {pollfd{nl_socket_get_fd(socket_.get()), POLLIN, 0}, pollfd{stop_fd_, POLLIN, 0}};
  while (true) {
    if (std::exchange(saw_address_, false) && readdressed_) readdressed_();
    if (poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      spdlog::error("link watch: {}: interfaces that go are seen no more", std::strerror(errno));
      return;
    }
    if (waiting[1].revents != 0) return;
    const int code = nl_recvmsgs_default(socket_.get());
    if (code < 0 && code != -NLE_AGAIN && code != -NLE_INTR) all_may_differ();  // ENOBUFS: some were lost
  }
}

}  // namespace millrace::control::agent
