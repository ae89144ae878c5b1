#include "control/switch/af_xdp_opener.h"

#include <fmt/core.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "datapath/io/af_xdp_port.h"
#include "datapath/io/receive_queues.h"

namespace millrace::control::switchd {
namespace {

const datapath::io::AfXdpPort& queue_of(const OpenPort& open, std::size_t queue) {
  return static_cast<const datapath::io::AfXdpPort&>(*open.queues[queue]);
}

/// How many queues to open, and with a socket each.
net::Result<unsigned> queue_count(const std::string& interface, datapath::PortKind kind) {
  if (kind != datapath::PortKind::kUplink) return 1u;
  const unsigned queues = datapath::io::receive_queues(interface);
  if (queues <= kUplinkQueueLimit) return queues;
  return net::failed_precondition(fmt::format("interface {} receives by {} queues; allowed: at most {} (ethtool -L {})",
                                              interface, queues, kUplinkQueueLimit, interface));
}

}  // namespace

AfXdpOpener::AfXdpOpener(datapath::io::MbufPool& pool)
    : pool_(pool), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

AfXdpOpener::~AfXdpOpener() {
  if (socket_ >= 0) ::close(socket_);
}

unsigned AfXdpOpener::number_of(const std::string& interface) const noexcept {
  if (socket_ < 0) return ::if_nametoindex(interface.c_str());
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  return ::ioctl(socket_, SIOCGIFINDEX, &request) == 0 ? static_cast<unsigned>(request.ifr_ifindex) : 0;
}

net::Result<std::shared_ptr<const datapath::io::XdpProgram>> AfXdpOpener::program(datapath::PortKind kind) {
  const std::lock_guard lock(mutex_);
  if (kind == datapath::PortKind::kUplink) {
    if (uplinks_ == nullptr) {
      auto loaded = datapath::io::UplinkProgram::load();
      if (!loaded) return loaded.error();
      uplinks_ = std::move(loaded).value();
    }
    return uplinks_->program();
  }
  if (program_ == nullptr) {
    auto loaded = datapath::io::XdpProgram::load();
    if (!loaded) return loaded;
    program_ = std::move(loaded).value();
  }
  return program_;
}

net::Result<void> AfXdpOpener::widen_uplinks(const datapath::UplinkRules& rules) {
  const std::lock_guard lock(mutex_);
  return uplinks_ == nullptr ? net::Result<void>{} : uplinks_->widen(rules);
}

net::Result<void> AfXdpOpener::narrow_uplinks(const datapath::UplinkRules& rules) {
  const std::lock_guard lock(mutex_);
  return uplinks_ == nullptr ? net::Result<void>{} : uplinks_->narrow(rules);
}

net::Result<OpenPort> AfXdpOpener::open(const PortRequest& request) {
  const std::string& interface = request.interface;
  const datapath::PortKind kind = request.kind;
  // Before opening: should the name change hands in between, the port is taken for dead, not for another's.
  const unsigned number = number_of(interface);
  datapath::io::AfXdpOptions options;
  options.interface = interface;
  options.this_program_only = kind == datapath::PortKind::kUplink;
  const auto queues = queue_count(interface, kind);
  if (!queues) return queues.error();
  auto shared = program(kind);
  if (!shared) return shared.error();
  options.program = std::move(shared).value();
  auto ports = datapath::io::AfXdpPort::open_queues(pool_, options, *queues);
  if (!ports) return ports.error();
  OpenPort open{.queues = {}, .interface = interface, .interface_number = number, .kind = kind};
  for (auto& port : *ports) open.queues.push_back(std::move(port));
  return open;
}

DeviceStatus AfXdpOpener::inspect(const OpenPort& open) const {
  DeviceStatus status;
  status.xdp_mode = queue_of(open, 0).mode() == datapath::io::XdpMode::kNative ? "native" : "generic";
  status.dead = is_dead(open);
  for (std::size_t i = 0; i < open.queues.size(); ++i)
    status.kernel_dropped += queue_of(open, i).statistics().rx_dropped;
  return status;
}

bool AfXdpOpener::is_dead(const OpenPort& open) const {
  return number_of(open.interface) != open.interface_number || queue_of(open, 0).dead();
}

}  // namespace millrace::control::switchd
