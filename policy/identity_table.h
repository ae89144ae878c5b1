/// IdentityTable: address of an endpoint -> its identity.
///
/// Thread:  built by control, then immutable: find() from any worker, never allocates.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "net/address.h"
#include "net/prefix_table.h"
#include "net/result.h"
#include "policy/rule.h"

namespace millrace::policy {

struct Endpoint {
  net::IpAddress address;
  Identity identity = kNoIdentity;
};

inline constexpr std::size_t kMaxEndpoints = 1'000'000;

class IdentityTable {
 public:
  /// Error: kInvalidArgument for an address given twice or the identity 0, naming the address; kResourceExhausted past
  /// kMaxEndpoints.
  static net::Result<std::shared_ptr<const IdentityTable>> build(std::span<const Endpoint> endpoints);

  /// kNoIdentity: no endpoint has the address.
  Identity find(net::Ipv4 address) const noexcept { return v4_.find(net::table_key(address)); }
  Identity find(const net::Ipv6& address) const noexcept { return v6_.find(net::table_key(address)); }
  /// Fetches what find() will read.
  void prefetch(net::Ipv4 address) const noexcept { v4_.prefetch(net::table_key(address)); }
  void prefetch(const net::Ipv6& address) const noexcept { v6_.prefetch(net::table_key(address)); }
  std::size_t size() const noexcept { return v4_.size() + v6_.size(); }
  std::size_t memory_bytes() const noexcept { return v4_.memory_bytes() + v6_.memory_bytes(); }

 private:
  IdentityTable(std::size_t v4_count, std::size_t v6_count) : v4_(v4_count), v6_(v6_count) {}

  net::ExactTable<std::uint32_t, Identity, 7, kNoIdentity> v4_;
  net::ExactTable<net::Key128, Identity, 3, kNoIdentity> v6_;
};

}  // namespace millrace::policy
