/// Routes: longest-prefix match from destination address to port, for both families.
///
/// Shape:   host routes (/32, /128) in one exact-match table a family, probed first; shorter prefixes in one table a
///          length, longest first, only lengths in use (Waldvogel et al., SIGCOMM 1997, without markers).
/// Size:    kMaxRoutes prefixes in all; `add` refuses more.
/// Thread:  built by control, then immutable: lookups from any worker. Lookups never allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "net/address.h"
#include "net/packet.h"
#include "net/result.h"

namespace millrace::datapath {

inline constexpr std::size_t kMaxRoutes = 1'000'000;

struct Route {
  net::Prefix prefix;
  net::PortId port = net::kNoPort;
};

class RouteTable {
 public:
  RouteTable();
  ~RouteTable();
  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;

  /// Builds the table. Error: kInvalidArgument for one prefix given twice, kResourceExhausted past kMaxRoutes.
  static net::Result<RouteTable> build(const std::vector<Route>& routes);

  /// The port of the longest prefix that holds the address, kNoPort when there is none.
  net::PortId lookup(net::Ipv4 address) const noexcept;
  net::PortId lookup(const net::Ipv6& address) const noexcept;

  std::size_t size() const noexcept;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

}  // namespace millrace::datapath
