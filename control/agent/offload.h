/// Offload switches of an interface, of the calling thread's network namespace.
///
/// Errors:  kNotFound for an interface that is not there.
/// Thread:  any.
/// Source:  ethtool ioctl, linux/ethtool.h.
#pragma once

#include <string>

#include "net/result.h"

namespace millrace::control::agent {

/// Generic receive offload on. On a veth this also makes it receive through NAPI (Linux 5.13), with or without XDP.
/// A kernel that cannot is no error: packets then arrive as they were sent.
net::Result<void> enable_gro(const std::string& interface);
net::Result<bool> has_gro(const std::string& interface);

}  // namespace millrace::control::agent
