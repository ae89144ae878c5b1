#include "control/agent/store_routes.h"

namespace millrace::control::agent {

net::Result<void> insert_routes(Database& database, std::int64_t attachment, const std::vector<ExtraRoute>& routes) {
  auto statement = database.prepare(
      "INSERT INTO attachment_routes (attachment, position, destination, prefix_bits, mtu, advmss, priority) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
  if (!statement) return statement.error();
  std::int64_t position = 0;
  for (const ExtraRoute& route : routes) {
    statement->reset();
    statement->bind(1, attachment)
        .bind(2, position++)
        .bind(3, route.destination.address.raw())
        .bind(4, std::int64_t{route.destination.length_bits})
        .bind(5, std::int64_t{route.mtu_bytes})
        .bind(6, std::int64_t{route.advmss_bytes})
        .bind(7, std::int64_t{route.priority});
    if (auto run = statement->run(); !run) return run.error();
  }
  return {};
}

net::Result<std::vector<ExtraRoute>> routes_of(Database& database, std::int64_t attachment) {
  auto statement = database.prepare(
      "SELECT destination, prefix_bits, mtu, advmss, priority FROM attachment_routes WHERE attachment = ?1 "
      "ORDER BY position");
  if (!statement) return statement.error();
  statement->bind(1, attachment);
  std::vector<ExtraRoute> routes;
  auto row = statement->step();
  for (; row && *row; row = statement->step()) {
    auto address = net::IpAddress::from_bytes(statement->blob(0));
    if (!address) return address.error();
    routes.push_back({.destination = net::Prefix::of(*address, static_cast<std::uint8_t>(statement->integer(1))),
                      .mtu_bytes = static_cast<std::uint32_t>(statement->integer(2)),
                      .advmss_bytes = static_cast<std::uint32_t>(statement->integer(3)),
                      .priority = static_cast<std::uint32_t>(statement->integer(4))});
  }
  if (!row) return row.error();
  return routes;
}

}  // namespace millrace::control::agent
