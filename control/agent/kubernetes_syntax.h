/// Fields of a request that hold Kubernetes names, labels or port names (control/names/syntax.h).
///
/// Errors:  kInvalidArgument "FIELD: what is wrong; allowed: ...".
/// Thread:  pure functions.
#pragma once

#include <string>
#include <string_view>

#include "net/result.h"

namespace millrace::control::agent {

net::Result<void> check_dns_label(const std::string& field, std::string_view text);
net::Result<void> check_dns_subdomain(const std::string& field, std::string_view text);
net::Result<void> check_label_key(const std::string& field, std::string_view text);
net::Result<void> check_label_value(const std::string& field, std::string_view text);
net::Result<void> check_port_name(const std::string& field, std::string_view text);

}  // namespace millrace::control::agent
