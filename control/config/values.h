/// Readers of single values: YAML node -> typed value, with the limits of the schema.
///
/// Shape:   a reader is a function (node, out) -> what is wrong, "" when nothing is. Integers are decimal and not
///          quoted; booleans are `true` and `false`; text may be quoted or plain.
/// Errors:  sentences without file, line, key and allowed values: the parser adds them.
/// Thread:  pure functions.
/// Source:  YAML 1.2.2 section 10.2 (the JSON schema's booleans and integers, without other bases).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "control/config/config.h"

namespace millrace::control::config {

/// Limits, both ends included.
struct Range {
  std::uint32_t min = 0;
  std::uint32_t max = 0;
  std::string to_string() const;
};

/// A value as an error message shows it: quoted, at most 40 bytes of it, control characters replaced.
std::string shown(std::string_view value);

std::string joined(const std::vector<std::string_view>& names, std::string_view separator);

std::string read_text(const YAML::Node& node, std::string& out);
std::string read_integer(const YAML::Node& node, Range range, std::uint32_t& out);
std::string read_boolean(const YAML::Node& node, bool& out);
/// `out` is the index in `names`.
std::string read_choice(const YAML::Node& node, const std::vector<std::string_view>& names, std::size_t& out);
/// Distinct integers, at most `limit`.
std::string read_integers(const YAML::Node& node, Range range, std::size_t limit, std::vector<std::uint32_t>& out);

/// An absolute path to which "/switch.sock" can be added within sun_path (unix(7): 108 bytes, the last one 0).
std::string read_socket_dir(const YAML::Node& node, std::string& out);
std::string read_path(const YAML::Node& node, std::string& out);
/// A path, or "" for `none`.
std::string read_path_or_none(const YAML::Node& node, std::string& out);
/// What keys begin with: '/' at both ends, characters as of paths.
std::string read_key_prefix(const YAML::Node& node, std::size_t limit, std::string& out);
/// A user of etcd, or "" for `none`.
std::string read_user(const YAML::Node& node, std::size_t limit, std::string& out);
/// A kernel interface name of at most `limit` characters.
std::string read_interface(const YAML::Node& node, std::size_t limit, bool may_be_empty, std::string& out);
/// A PCI address, or a name of a DPDK driver (net_...) with arguments behind a comma; or "none".
std::string read_device(const YAML::Node& node, std::string& out);
/// An RFC 1123 subdomain (control/names/syntax.h).
std::string read_node_name(const YAML::Node& node, std::string& out);

std::string read_gateway_ipv4(const YAML::Node& node, net::Ipv4& out);
std::string read_gateway_ipv6(const YAML::Node& node, net::Ipv6& out);
std::string read_gateway_mac(const YAML::Node& node, net::Mac& out);

/// A pool of `family` (4 or 6) whose length lies in `lengths`, or `none`. Keeps the block length that `out` has.
std::string read_pool(const YAML::Node& node, std::uint8_t family, Range lengths, std::optional<AddressPool>& out);
/// A prefix of `family` whose length lies in `lengths`, or `none`.
std::string read_prefix(const YAML::Node& node, std::uint8_t family, Range lengths, std::optional<net::Prefix>& out);
/// Distinct prefixes of any family and length.
std::string read_prefixes(const YAML::Node& node, std::size_t limit, std::vector<net::Prefix>& out);
/// Distinct unicast addresses of any family.
std::string read_addresses(const YAML::Node& node, std::size_t limit, std::vector<net::IpAddress>& out);
/// FIRST-LAST, both within `range`.
std::string read_port_range(const YAML::Node& node, Range range, std::uint16_t& first, std::uint16_t& last);
/// Distinct URLs http://HOST:PORT, or all of them https://HOST:PORT; an IPv6 HOST is in brackets.
std::string read_endpoints(const YAML::Node& node, std::size_t limit, std::vector<std::string>& out);
/// A name of a domain, RFC 1123.
std::string read_domain(const YAML::Node& node, std::string& out);

}  // namespace millrace::control::config
