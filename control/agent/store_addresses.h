/// The built-in IPAM's table operations. The caller holds the store's mutex and an open transaction.
///
/// Theory, errors: store.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/agent/address_block.h"
#include "control/agent/sqlite.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Gives `address` to `attachment`. Error: kAlreadyExists when another has it.
net::Result<void> take_address(Database& database, std::int64_t attachment, const net::IpAddress& address);
/// Gives the next free address of `blocks`, at least one and all of one family, to `attachment`. Error:
/// kResourceExhausted.
net::Result<net::IpAddress> take_next_address(Database& database, std::int64_t attachment,
                                              const std::vector<AddressBlock>& blocks);
/// Releases all addresses of `attachment`; those of no block of `blocks` are forgotten.
net::Result<void> release_addresses(Database& database, std::int64_t attachment,
                                    const std::vector<AddressBlock>& blocks);
/// IPv4 before IPv6.
net::Result<std::vector<net::IpAddress>> addresses_of(Database& database, std::int64_t attachment);
net::Result<std::uint32_t> used_addresses(Database& database, const AddressBlock& block);
net::Result<void> forget_other_blocks(Database& database, const std::vector<AddressBlock>& blocks);

}  // namespace millrace::control::agent
