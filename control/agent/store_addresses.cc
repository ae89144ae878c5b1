#include "control/agent/store_addresses.h"

#include <algorithm>
#include <string_view>

namespace millrace::control::agent {
namespace {

bool in_a_block(const std::vector<AddressBlock>& blocks, const net::IpAddress& address) {
  return std::any_of(blocks.begin(), blocks.end(), [&](const AddressBlock& b) { return b.is_for_pods(address); });
}

/// A row of the address is there, in use or released.
net::Result<bool> is_known(Database& database, const net::IpAddress& address) {
  auto statement = database.prepare("SELECT 1 FROM addresses WHERE address = ?1");
  if (!statement) return statement.error();
  statement->bind(1, address.raw());
  return statement->step();
}

/// The lowest address that was never handed out; moves the block's mark past it.
net::Result<std::optional<net::IpAddress>> next_never_used(Database& database, const AddressBlock& block) {
  const std::string name = block.block().to_string();
  auto read = database.prepare("SELECT next_index FROM blocks WHERE block = ?1");
  if (!read) return read.error();
  read->bind(1, name);
  auto row = read->step();
  if (!row) return row.error();
  auto index = *row ? static_cast<std::uint32_t>(read->integer(0)) : AddressBlock::kFirstPodIndex;
  // An address may be known above the mark: wanted by a caller, or of a delegated IPAM.
  for (; index <= block.last_index(); ++index) {
    auto known = is_known(database, block.at(index));
    if (!known) return known.error();
    if (!*known) break;
  }
  const bool found = index <= block.last_index();
  auto write = database.prepare(
      "INSERT INTO blocks (block, next_index) VALUES (?1, ?2) "
      "ON CONFLICT (block) DO UPDATE SET next_index = excluded.next_index");
  if (!write) return write.error();
  write->bind(1, name).bind(2, static_cast<std::int64_t>(found ? index + 1 : index));
  if (auto written = write->run(); !written) return written.error();
  if (!found) return std::optional<net::IpAddress>();
  return std::optional(block.at(index));
}

/// A statement over the pods' addresses of a block: ?1 is bound to the first, ?2 to the last, ?3 to their length. Blobs
/// compare by bytes; the length keeps the families apart.
net::Result<Statement> prepare_for_block(Database& database, const AddressBlock& block, std::string_view sql) {
  auto statement = database.prepare(sql);
  if (!statement) return statement.error();
  const net::IpAddress first = block.first_pod();
  const net::IpAddress last = block.last_pod();
  statement->bind(1, first.raw()).bind(2, last.raw()).bind(3, static_cast<std::int64_t>(first.bits() / 8));
  return statement;
}

struct Released {
  std::int64_t seq = 0;
  net::IpAddress address;
};

net::Result<std::optional<Released>> longest_released(Database& database, const AddressBlock& block) {
  auto statement = prepare_for_block(
      database, block,
      "SELECT address, released_seq FROM addresses WHERE released_seq IS NOT NULL AND address BETWEEN ?1 AND ?2 "
      "AND length(address) = ?3 ORDER BY released_seq LIMIT 1");
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  if (!*row) return std::optional<Released>();
  auto address = net::IpAddress::from_bytes(statement->blob(0));
  if (!address) return address.error();
  return std::optional(Released{statement->integer(1), *address});
}

net::Result<std::optional<net::IpAddress>> find_free(Database& database, const std::vector<AddressBlock>& blocks) {
  for (const AddressBlock& block : blocks) {
    auto unused = next_never_used(database, block);
    if (!unused || *unused) return unused;
  }
  std::optional<Released> longest;
  for (const AddressBlock& block : blocks) {
    auto released = longest_released(database, block);
    if (!released) return released.error();
    if (*released && (!longest || (*released)->seq < longest->seq)) longest = **released;
  }
  return longest ? std::optional(longest->address) : std::nullopt;
}

net::Error none_is_free(const std::vector<AddressBlock>& blocks) {
  std::string names;
  std::uint64_t capacity = 0;
  for (const AddressBlock& block : blocks) {
    names += (names.empty() ? "" : ", ") + block.block().to_string();
    capacity += block.capacity();
  }
  return net::resource_exhausted("ipam: no address is free in block " + names + " of pool " +
                                 blocks.front().pool().to_string() + ": all " + std::to_string(capacity) +
                                 " are in use");
}

}  // namespace

net::Result<void> take_address(Database& database, std::int64_t attachment, const net::IpAddress& address) {
  auto statement = database.prepare(
      "INSERT INTO addresses (address, attachment) VALUES (?1, ?2) ON CONFLICT (address) DO UPDATE "
      "SET attachment = excluded.attachment, released_seq = NULL WHERE attachment IS NULL");
  if (!statement) return statement.error();
  statement->bind(1, address.raw()).bind(2, attachment);
  if (auto run = statement->run(); !run) return run.error();
  if (database.changes() == 0) return net::already_exists("address " + address.to_string() + " is another pod's");
  return {};
}

net::Result<net::IpAddress> take_next_address(Database& database, std::int64_t attachment,
                                              const std::vector<AddressBlock>& blocks) {
  auto address = find_free(database, blocks);
  if (!address) return address.error();
  if (!*address) return none_is_free(blocks);
  if (auto taken = take_address(database, attachment, **address); !taken) return taken.error();
  return **address;
}

net::Result<void> release_addresses(Database& database, std::int64_t attachment,
                                    const std::vector<AddressBlock>& blocks) {
  auto addresses = addresses_of(database, attachment);
  if (!addresses) return addresses.error();
  for (const net::IpAddress& address : *addresses) {
    // The largest sequence number in use grows with each release; a gap left by an address taken again is no harm.
    auto statement =
        database.prepare(in_a_block(blocks, address) ? "UPDATE addresses SET attachment = NULL, "
                                                       "released_seq = (SELECT coalesce(max(released_seq), 0) + 1 FROM "
                                                       "addresses WHERE released_seq IS NOT NULL) "
                                                       "WHERE address = ?1"
                                                     : "DELETE FROM addresses WHERE address = ?1");
    if (!statement) return statement.error();
    statement->bind(1, address.raw());
    if (auto run = statement->run(); !run) return run.error();
  }
  return {};
}

net::Result<std::vector<net::IpAddress>> addresses_of(Database& database, std::int64_t attachment) {
  auto statement =
      database.prepare("SELECT address FROM addresses WHERE attachment = ?1 ORDER BY length(address), address");
  if (!statement) return statement.error();
  statement->bind(1, attachment);
  std::vector<net::IpAddress> addresses;
  while (true) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return addresses;
    auto address = net::IpAddress::from_bytes(statement->blob(0));
    if (!address) return address.error();
    addresses.push_back(*address);
  }
}

net::Result<std::uint32_t> used_addresses(Database& database, const AddressBlock& block) {
  auto statement =
      prepare_for_block(database, block,
                        "SELECT count(*) FROM addresses WHERE attachment IS NOT NULL AND address BETWEEN ?1 AND ?2 "
                        "AND length(address) = ?3");
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  return static_cast<std::uint32_t>(statement->integer(0));
}

net::Result<void> forget_other_blocks(Database& database, const std::vector<AddressBlock>& blocks) {
  auto released = database.prepare("SELECT address FROM addresses WHERE released_seq IS NOT NULL");
  if (!released) return released.error();
  std::vector<net::IpAddress> stale;
  while (true) {
    auto row = released->step();
    if (!row) return row.error();
    if (!*row) break;
    auto address = net::IpAddress::from_bytes(released->blob(0));
    if (!address) return address.error();
    if (!in_a_block(blocks, *address)) stale.push_back(*address);
  }
  for (const net::IpAddress& address : stale) {
    auto statement = database.prepare("DELETE FROM addresses WHERE address = ?1");
    if (!statement) return statement.error();
    statement->bind(1, address.raw());
    if (auto run = statement->run(); !run) return run.error();
  }
  // The mark of a block counts on its released rows: it goes with them.
  auto marks = database.prepare("SELECT block FROM blocks");
  if (!marks) return marks.error();
  std::vector<std::string> gone;
  while (true) {
    auto row = marks->step();
    if (!row) return row.error();
    if (!*row) break;
    const std::string name = marks->text(0);
    if (std::none_of(blocks.begin(), blocks.end(), [&](const auto& b) { return b.block().to_string() == name; })) {
      gone.push_back(name);
    }
  }
  for (const std::string& name : gone) {
    auto statement = database.prepare("DELETE FROM blocks WHERE block = ?1");
    if (!statement) return statement.error();
    statement->bind(1, name);
    if (auto run = statement->run(); !run) return run.error();
  }
  return {};
}

}  // namespace millrace::control::agent
