/// The syntax of what a person or a runtime names in Kubernetes: objects, labels, ports.
///
/// Errors:  none: each function says whether the text may be. The sentence for a person is the caller's, who knows
///          whether it was a field of a request or an option of the command line.
/// Thread:  pure functions.
/// Source:  k8s.io/apimachinery/pkg/util/validation: IsDNS1123Label, IsDNS1123Subdomain, IsQualifiedName,
///          IsValidLabelValue, IsValidPortName (RFC 1123 s.2.1, RFC 6335 s.5.1).
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::control::names {

inline constexpr std::size_t kLabelBytes = 63;  // of a DNS label, of the name in a label's key, of a label's value
inline constexpr std::size_t kSubdomainBytes = 253;
inline constexpr std::size_t kPortNameBytes = 15;

/// a-z 0-9 -, first and last no -: a namespace's name.
bool is_dns_label(std::string_view text);
/// DNS labels with dots between: a pod's name.
bool is_dns_subdomain(std::string_view text);
/// [DNS subdomain /] name of A-Z a-z 0-9 - _ ., first and last a letter or digit.
bool is_label_key(std::string_view text);
/// Empty, or as the name of a label's key.
bool is_label_value(std::string_view text);
/// a-z 0-9 -, a letter among them, no - first, last or twice in a row.
bool is_port_name(std::string_view text);

}  // namespace millrace::control::names
