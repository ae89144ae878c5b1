/// receive_queues: how many queues an interface spreads what it receives over.
///
/// Source:  kernel Documentation/networking/ethtool-netlink.rst, CHANNELS_GET; here by ioctl(2) SIOCETHTOOL.
/// Thread:  any.
#pragma once

#include <string>

namespace millrace::datapath::io {

/// 1 for a device that does not say.
unsigned receive_queues(const std::string& interface);

}  // namespace millrace::datapath::io
