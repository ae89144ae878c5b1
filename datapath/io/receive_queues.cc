#include "datapath/io/receive_queues.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace millrace::datapath::io {

unsigned receive_queues(const std::string& interface) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return 1;
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&channels);
  const bool known = ::ioctl(socket, SIOCETHTOOL, &request) == 0;
  ::close(socket);
  return known ? std::max(1u, channels.rx_count + channels.combined_count) : 1;
}

}  // namespace millrace::datapath::io
