/// The files a session is given: certificates, a key, a password.
///
/// Errors:  kInvalidArgument naming the key of the configuration and the file. At most kFileBytes are taken.
#pragma once

#include <cstddef>
#include <string>

#include "net/result.h"

namespace millrace::control::etcd {

inline constexpr std::size_t kFileBytes = 1 << 20;

/// `what`: "etcd.caFile" ...
net::Result<std::string> read_file(const std::string& what, const std::string& path);

/// The first line, without its end.
net::Result<std::string> read_password(const std::string& path);

}  // namespace millrace::control::etcd
