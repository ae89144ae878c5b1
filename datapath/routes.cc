#include "datapath/routes.h"

#include <cstring>
#include <string>
#include <utility>

#include "net/exact_table.h"

namespace millrace::datapath {
namespace {

using net::Key128;
using Ipv4Table = net::ExactTable<std::uint32_t, net::PortId, 8, net::kNoPort>;
using Ipv6Table = net::ExactTable<Key128, net::PortId, 3, net::kNoPort>;

std::uint32_t key_of(net::Ipv4 address) noexcept { return address.value.host(); }

Key128 key_of(const net::Ipv6& address) noexcept {
  net::Be64 halves[2];
  static_assert(sizeof halves == sizeof address.bytes);
  std::memcpy(halves, address.bytes.data(), sizeof halves);
  return {halves[0].host(), halves[1].host()};
}

template <typename Word>
constexpr Word mask_word(unsigned bits) noexcept {
  constexpr unsigned kBits = sizeof(Word) * 8;
  return bits == 0 ? Word{0} : static_cast<Word>(~Word{0} << (kBits - bits));
}

std::uint32_t masked(std::uint32_t key, std::uint32_t mask) noexcept { return key & mask; }
Key128 masked(const Key128& key, const Key128& mask) noexcept { return {key.high & mask.high, key.low & mask.low}; }

void mask_for(unsigned bits, std::uint32_t& mask) noexcept { mask = mask_word<std::uint32_t>(bits); }
void mask_for(unsigned bits, Key128& mask) noexcept {
  mask.high = mask_word<std::uint64_t>(bits < 64 ? bits : 64);
  mask.low = mask_word<std::uint64_t>(bits < 64 ? 0 : bits - 64);
}

/// All routes of one family.
template <typename Key, typename Table, unsigned kBits>
class Family {
 public:
  explicit Family(const std::array<std::size_t, kBits + 1>& count_of_length) : hosts_(count_of_length[kBits]) {
    for (unsigned length = kBits - 1; length > 0; --length) {
      if (count_of_length[length] == 0) continue;
      prefixes_.push_back({length, {}, Table(count_of_length[length])});
      mask_for(length, prefixes_.back().mask);
    }
  }

  /// False when the prefix is there already.
  bool insert(const Key& key, unsigned length, net::PortId port) {
    if (length == kBits) return hosts_.insert(key, port);
    if (length == 0) {
      if (default_port_ != net::kNoPort) return false;
      default_port_ = port;
      return true;
    }
    for (Length& prefix : prefixes_) {
      if (prefix.length == length) return prefix.table.insert(key, port);
    }
    return false;
  }

  net::PortId find(const Key& key) const noexcept {
    net::PortId port = hosts_.find(key);
    if (port != net::kNoPort) [[likely]]
      return port;
    for (const Length& prefix : prefixes_) {
      port = prefix.table.find(masked(key, prefix.mask));
      if (port != net::kNoPort) return port;
    }
    return default_port_;
  }

 private:
  struct Length {
    unsigned length;
    Key mask;
    Table table;
  };
  Table hosts_;
  std::vector<Length> prefixes_;  // longest first
  net::PortId default_port_ = net::kNoPort;
};

}  // namespace

struct RouteTable::Tables {
  Family<std::uint32_t, Ipv4Table, 32> ipv4;
  Family<Key128, Ipv6Table, 128> ipv6;
  std::size_t size = 0;
};

RouteTable::RouteTable() : tables_(new Tables{decltype(Tables::ipv4)({}), decltype(Tables::ipv6)({}), 0}) {}
RouteTable::~RouteTable() = default;
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;

net::Result<RouteTable> RouteTable::build(const std::vector<Route>& routes) {
  if (routes.size() > kMaxRoutes) {
    return net::resource_exhausted("routes: " + std::to_string(routes.size()) + " are more than the limit of " +
                                   std::to_string(kMaxRoutes));
  }
  std::array<std::size_t, 33> count_v4{};
  std::array<std::size_t, 129> count_v6{};
  for (const Route& route : routes) {
    const net::Prefix& prefix = route.prefix;
    if (prefix.length_bits > prefix.address.bits() || net::Prefix::of(prefix.address, prefix.length_bits) != prefix) {
      return net::invalid_argument("route " + prefix.to_string() + ": host bits are set or the length is too long");
    }
    if (route.port == net::kNoPort) return net::invalid_argument("route " + prefix.to_string() + " leads to no port");
    ++(prefix.address.is_v4() ? count_v4[prefix.length_bits] : count_v6[prefix.length_bits]);
  }
  RouteTable result;
  *result.tables_ = Tables{decltype(Tables::ipv4)(count_v4), decltype(Tables::ipv6)(count_v6), routes.size()};
  for (const Route& route : routes) {
    const net::Prefix& prefix = route.prefix;
    const bool is_new = prefix.address.is_v4()
                            ? result.tables_->ipv4.insert(key_of(prefix.address.v4()), prefix.length_bits, route.port)
                            : result.tables_->ipv6.insert(key_of(prefix.address.v6()), prefix.length_bits, route.port);
    if (!is_new) return net::invalid_argument("route " + prefix.to_string() + " is given twice");
  }
  return result;
}

net::PortId RouteTable::lookup(net::Ipv4 address) const noexcept { return tables_->ipv4.find(key_of(address)); }
net::PortId RouteTable::lookup(const net::Ipv6& address) const noexcept { return tables_->ipv6.find(key_of(address)); }
std::size_t RouteTable::size() const noexcept { return tables_->size; }

}  // namespace millrace::datapath
