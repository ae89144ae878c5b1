#include "control/agent/store_blocks.h"

namespace millrace::control::agent {

net::Result<std::vector<ClaimedBlock>> read_claimed_blocks(Database& database) {
  auto statement = database.prepare("SELECT block, pool, state FROM claimed_blocks ORDER BY id");
  if (!statement) return statement.error();
  std::vector<ClaimedBlock> claims;
  while (true) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return claims;
    const auto block = net::Prefix::parse(statement->text(0));
    const auto pool = net::Prefix::parse(statement->text(1));
    if (!block || !pool) return net::failed_precondition("database: claimed_blocks has " + statement->text(0));
    claims.push_back({*block, *pool, static_cast<ClaimState>(statement->integer(2))});
  }
}

net::Result<void> put_claimed_block(Database& database, const ClaimedBlock& claim) {
  auto statement = database.prepare(
      "INSERT INTO claimed_blocks (block, pool, state) VALUES (?1, ?2, ?3) "
      "ON CONFLICT (block) DO UPDATE SET state = excluded.state");
  if (!statement) return statement.error();
  // Each text lives until the statement ran.
  const std::string block = claim.block.to_string();
  const std::string pool = claim.pool.to_string();
  statement->bind(1, block).bind(2, pool).bind(3, static_cast<std::int64_t>(claim.state));
  return statement->run();
}

net::Result<void> erase_claimed_block(Database& database, const net::Prefix& block) {
  auto statement = database.prepare("DELETE FROM claimed_blocks WHERE block = ?1");
  if (!statement) return statement.error();
  const std::string name = block.to_string();
  statement->bind(1, name);
  return statement->run();
}

}  // namespace millrace::control::agent
