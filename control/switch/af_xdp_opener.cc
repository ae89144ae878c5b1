#include "control/switch/af_xdp_opener.h"

#include <net/if.h>

#include <utility>

#include "datapath/io/af_xdp_port.h"

namespace millrace::control::switchd {

net::Result<OpenPort> AfXdpOpener::open(const std::string& interface) {
  // Before opening: should the name change hands in between, the port is taken for dead, not for another's.
  const unsigned number = ::if_nametoindex(interface.c_str());
  datapath::io::AfXdpOptions options;
  options.interface = interface;
  auto port = datapath::io::AfXdpPort::open(pool_, options);
  if (!port) return port.error();
  return OpenPort{std::move(port).value(), interface, number};
}

DeviceStatus AfXdpOpener::inspect(const OpenPort& open) const {
  const auto& port = static_cast<const datapath::io::AfXdpPort&>(*open.port);
  const bool replaced = ::if_nametoindex(open.interface.c_str()) != open.interface_number;
  return {port.mode() == datapath::io::XdpMode::kNative ? "native" : "generic", replaced || port.dead(),
          port.statistics().rx_dropped};
}

}  // namespace millrace::control::switchd
