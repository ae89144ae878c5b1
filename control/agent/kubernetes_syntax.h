/// The syntax of Kubernetes names, labels and port names.
///
/// Errors:  kInvalidArgument "FIELD: what is wrong; allowed: ...".
/// Thread:  pure functions.
/// Source:  k8s.io/apimachinery/pkg/util/validation: IsDNS1123Label, IsDNS1123Subdomain, IsQualifiedName,
///          IsValidLabelValue, IsValidPortName (RFC 1123 s.2.1, RFC 6335 s.5.1).
#pragma once

#include <string>
#include <string_view>

#include "net/result.h"

namespace millrace::control::agent {

/// 1..63 characters of a-z 0-9 -, first and last no -.
net::Result<void> check_dns_label(const std::string& field, std::string_view text);
/// DNS labels with dots between, 1..253 characters in all.
net::Result<void> check_dns_subdomain(const std::string& field, std::string_view text);
/// [DNS subdomain /] name of 1..63 characters of A-Z a-z 0-9 - _ ., first and last a letter or digit.
net::Result<void> check_label_key(const std::string& field, std::string_view text);
/// Empty, or as the name of a label's key.
net::Result<void> check_label_value(const std::string& field, std::string_view text);
/// 1..15 characters of a-z 0-9 -, a letter among them, no - first, last or twice.
net::Result<void> check_port_name(const std::string& field, std::string_view text);

}  // namespace millrace::control::agent
