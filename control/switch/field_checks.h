/// Checks of single fields of a request: bytes and text in, types out.
///
/// Shape:   `field` is the way to the field for a person, "upsert_ports[3].mac"; every message begins with it and says
///          what is allowed.
/// Errors:  kInvalidArgument.
/// Thread:  pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>

#include "net/address.h"
#include "net/result.h"

namespace millrace::control::switchd {

inline constexpr std::uint32_t kPortLimit = 65535;

/// An error of what lies in `outer`: errors name their field from the inside out, so that texts are made only when
/// there is something to say.
net::Error within(const std::string& outer, const net::Error& error);
/// 1..63 characters of letters, digits and "_.:/-".
net::Result<std::string> check_name(const std::string& field, const std::string& text);
/// What the kernel takes as an interface name: 1..15 printable characters without '/', ':' and space; not "." or "..".
net::Result<std::string> check_interface(const std::string& field, const std::string& text);
/// An absolute path that a unix socket can have, in its one shortest form: two paths of one socket would be two ports.
net::Result<void> check_socket_path(const std::string& field, const std::string& text);
/// At most `limit` characters of valid UTF-8 without control characters: it is shown on terminals.
net::Result<void> check_text(const std::string& field, const std::string& text, std::size_t limit);
/// The same, and at least one.
net::Result<void> check_label(const std::string& field, const std::string& text, std::size_t limit);
/// `text` in quotes for an error: what is not ASCII as '?', and cut where it gets long.
std::string quoted(const std::string& text);
/// At most 253 characters of valid UTF-8 without control characters: it is shown on terminals.
net::Result<std::string> check_description(const std::string& field, const std::string& text);
/// 6 bytes, neither multicast nor zero.
net::Result<net::Mac> check_mac(const std::string& field, const std::string& bytes);
/// 4 or 16 bytes of a unicast address, not loopback, not unspecified.
net::Result<net::IpAddress> check_unicast(const std::string& field, const std::string& bytes);
/// 4 or 16 bytes and a length within the family, host bits zero.
net::Result<net::Prefix> check_prefix(const std::string& field, const std::string& bytes, std::uint32_t length_bits);

}  // namespace millrace::control::switchd
