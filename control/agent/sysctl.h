/// Kernel settings under /proc/sys/net, of the calling thread's network namespace.
///
/// Shape:   `name` is the path below /proc/sys/net, with slashes ("ipv6/conf/eth0/accept_ra"): interface names may
///          hold dots.
/// Errors:  kNotFound when the kernel has no such setting (IPv6 switched off, say).
/// Thread:  any.
#pragma once

#include <string>
#include <vector>

#include "net/result.h"

namespace millrace::control::agent {

net::Result<std::string> read_sysctl(const std::string& name);
/// Writes only when the value differs: some settings reset others when written.
net::Result<void> write_sysctl(const std::string& name, const std::string& value);
/// Does this kernel do IPv6?
bool has_ipv6();
/// Names of the interfaces with IPv6 settings, "all" and "default" left out.
std::vector<std::string> ipv6_interfaces();

}  // namespace millrace::control::agent
