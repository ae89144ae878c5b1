#include "nat/fragment_table.h"

#include <bit>

#include "net/fragment.h"
#include "net/ip_header.h"

namespace millrace::nat {
namespace {

using namespace net;

constexpr unsigned kSets = kFragmentTableSize / kFragmentWays;
static_assert(std::has_single_bit(kSets));

/// Whether this protocol has ports, or what follows a header of this kind may have.
bool may_have_ports(L3 l3, std::uint8_t protocol) noexcept {
  switch (protocol) {
    case ip_protocol::kTcp:
    case ip_protocol::kUdp:
    case ip_protocol::kSctp: return true;
    case ip_protocol::kIcmp: return l3 == L3::kIpv4;
    case ip_protocol::kIcmpv6:
    case ipv6_next_header::kHopByHop:
    case ipv6_next_header::kRouting:
    case ipv6_next_header::kAuthentication:
    case ipv6_next_header::kDestination: return l3 == L3::kIpv6;
    default: return false;
  }
}

}  // namespace

FragmentTable::FragmentTable(std::uint64_t seed) : entries_(kFragmentTableSize), seed_(mix64(seed)) {}

FragmentTable::Key FragmentTable::key_of(const Packet& packet) noexcept {
  const std::uint32_t id = fragment_id(packet);
  if (packet.headers.l3 == L3::kIpv4) {
    const Ipv4Header& ip = ipv4(packet);
    return {words_of(ip.source), words_of(ip.destination), id, 4, packet.headers.l4_protocol};
  }
  const Ipv6Header& ip = ipv6(packet);
  return {words_of(ip.source), words_of(ip.destination), id, 6, 0};
}

std::span<FragmentTable::Entry> FragmentTable::set_of(const Key& key) noexcept {
  const std::uint64_t rest = std::uint64_t{key.id} << 8 | key.protocol;
  const std::uint64_t hash = hash_of(key.destination, hash_of(key.source, seed_ ^ rest));
  return std::span(entries_).subspan((hash & (kSets - 1)) * kFragmentWays, kFragmentWays);
}

void FragmentTable::note(const Key& key, const Headers& headers, TickMs now) noexcept {
  Entry* oldest = nullptr;
  for (Entry& entry : set_of(key)) {
    if (entry.key.family == 0 || entry.key == key) {
      oldest = &entry;
      break;
    }
    if (oldest == nullptr || now - entry.begin > now - oldest->begin) oldest = &entry;
  }
  *oldest = {key, now, headers.source_port, headers.destination_port, headers.l4_protocol};
}

FragmentTable::Entry* FragmentTable::find(const Key& key, TickMs now) noexcept {
  for (Entry& entry : set_of(key)) {
    if (entry.key == key && now - entry.begin < kFragmentLifetimeMs) return &entry;
  }
  return nullptr;
}

void FragmentTable::note_first(const Packet& packet, TickMs now) noexcept { note(key_of(packet), packet.headers, now); }

bool FragmentTable::knows(const Packet& packet, TickMs now) noexcept { return find(key_of(packet), now) != nullptr; }

void FragmentTable::forget(const Packet& packet) noexcept {
  const Key key = key_of(packet);
  for (Entry& entry : set_of(key)) {
    if (entry.key == key) entry = {};
  }
}

bool FragmentTable::follow(Packet& packet, TickMs now) noexcept {
  Headers& headers = packet.headers;
  // The first fragment of IPv6 is past its extension headers: what those behind it will name is not known here.
  const bool is_v6_first = headers.l3 == L3::kIpv6 && headers.is_first_fragment;
  if (!is_v6_first && !may_have_ports(headers.l3, headers.l4_protocol)) return true;
  const Key key = key_of(packet);
  if (headers.is_first_fragment) {
    note(key, headers, now);
    return true;
  }
  const Entry* const entry = find(key, now);
  if (entry == nullptr) return false;
  headers.source_port = entry->source_port;
  headers.destination_port = entry->destination_port;
  headers.l4_protocol = entry->l4_protocol;
  return true;
}

}  // namespace millrace::nat
