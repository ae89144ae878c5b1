#include "nat/port_pool.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "nat/address_words.h"
#include "net/flow_key.h"
#include "net/parser.h"

namespace millrace::nat {
namespace internal {

namespace {

/// splitmix64: the next number of a stream of random ones.
std::uint64_t next_random(std::uint64_t& state) noexcept { return net::mix64(state += 0x9e3779b97f4a7c15); }

}  // namespace

template <typename Address>
PortSpace<Address>::PortSpace(std::uint32_t count, std::uint64_t seed)
    : seed_(net::mix64(seed + 1)),
      bindings_(count),
      free_(count),
      free_count_(count),
      slots_(std::bit_ceil(std::max(count, 1u) * 2u)),
      slot_mask_(static_cast<std::uint32_t>(slots_.size()) - 1) {
  std::iota(free_.begin(), free_.end(), std::uint16_t{0});
  // Fisher and Yates. What the remainder favours, less than one in 2^48, nobody can use.
  for (std::uint32_t left = count; left > 1; --left) std::swap(free_[left - 1], free_[next_random(seed) % left]);
}

template <typename Address>
std::uint32_t PortSpace<Address>::slot_of(const Address& address, std::uint16_t port) const noexcept {
  return static_cast<std::uint32_t>(hash_of(words_of(address), seed_ ^ port)) & slot_mask_;
}

/// Precondition: one is free.
template <typename Address>
std::uint32_t PortSpace<Address>::next_free() noexcept {
  const std::uint32_t index = free_[free_first_];
  free_first_ = free_first_ + 1 == free_.size() ? 0 : free_first_ + 1;
  --free_count_;
  const std::uint32_t later = free_first_ + kBindingsAhead;
  __builtin_prefetch(&bindings_[free_[later < free_.size() ? later : 0]], 1);
  return index;
}

template <typename Address>
std::optional<std::uint32_t> PortSpace<Address>::take(const Address& address, std::uint16_t port) noexcept {
  std::uint32_t slot = slot_of(address, port);
  for (; slots_[slot] != 0; slot = (slot + 1) & slot_mask_) {
    const std::uint32_t index = slots_[slot] - 1;
    Binding& bound = bindings_[index];
    if (bound.port != port || bound.address != address) continue;
    ++bound.holds;
    return index;
  }
  if (free_count_ == 0) return std::nullopt;
  const std::uint32_t index = next_free();
  bindings_[index] = {address, port, false, 1};
  slots_[slot] = index + 1;
  return index;
}

template <typename Address>
std::optional<std::uint32_t> PortSpace<Address>::take_apart(const Address& address, std::uint16_t port) noexcept {
  if (free_count_ == 0) return std::nullopt;
  const std::uint32_t index = next_free();
  bindings_[index] = {address, port, true, 1};
  return index;
}

template <typename Address>
void PortSpace<Address>::release(std::uint32_t index) noexcept {
  Binding& bound = bindings_[index];
  if (bound.holds == 0 || --bound.holds != 0) return;
  if (!bound.is_apart) {
    std::uint32_t slot = slot_of(bound.address, bound.port);
    while (slots_[slot] != index + 1) slot = (slot + 1) & slot_mask_;
    unlink(slot);
  }
  const auto size = static_cast<std::uint32_t>(free_.size());
  const std::uint32_t last = free_first_ + free_count_;
  free_[last >= size ? last - size : last] = static_cast<std::uint16_t>(index);
  ++free_count_;
}

/// Empties the slot, and moves back what stands behind it and is not where its hash wants it (Knuth 6.4, algorithm R).
template <typename Address>
void PortSpace<Address>::unlink(std::uint32_t slot) noexcept {
  std::uint32_t hole = slot;
  for (std::uint32_t at = (slot + 1) & slot_mask_; slots_[at] != 0; at = (at + 1) & slot_mask_) {
    const Binding& bound = bindings_[slots_[at] - 1];
    const std::uint32_t wanted = slot_of(bound.address, bound.port);
    if (((at - wanted) & slot_mask_) < ((at - hole) & slot_mask_))
      continue;  // the hole lies in front of its first slot
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = 0;
}

template class PortSpace<net::Ipv4>;
template class PortSpace<net::Ipv6>;

}  // namespace internal

template <typename Address>
PortPool<Address>::PortPool(PortRange range, std::uint64_t seed)
    : range_(range),
      spaces_{internal::PortSpace<Address>(range.count, net::mix64(seed)),
              internal::PortSpace<Address>(range.count, net::mix64(seed + 1)),
              internal::PortSpace<Address>(range.count, net::mix64(seed + 2)),
              internal::PortSpace<Address>(range.count, net::mix64(seed + 3))} {}

template <typename Address>
const internal::PortSpace<Address>* PortPool<Address>::space_of(std::uint8_t protocol) const noexcept {
  switch (protocol) {
    case net::ip_protocol::kTcp: return &spaces_[0];
    case net::ip_protocol::kUdp: return &spaces_[1];
    case net::ip_protocol::kSctp: return &spaces_[2];
    case net::ip_protocol::kIcmp:
    case net::ip_protocol::kIcmpv6: return &spaces_[3];
    default: return nullptr;
  }
}

template <typename Address>
internal::PortSpace<Address>* PortPool<Address>::space_of(std::uint8_t protocol) noexcept {
  return const_cast<internal::PortSpace<Address>*>(std::as_const(*this).space_of(protocol));
}

template <typename Address>
std::optional<std::uint16_t> PortPool<Address>::take(const InsideEndpoint<Address>& inside) noexcept {
  auto* space = space_of(inside.protocol);
  if (space == nullptr) return std::nullopt;
  const auto index = space->take(inside.address, inside.port);
  if (!index) return std::nullopt;
  return static_cast<std::uint16_t>(range_.first + *index);
}

template <typename Address>
std::optional<std::uint16_t> PortPool<Address>::take_apart(const InsideEndpoint<Address>& inside) noexcept {
  auto* space = space_of(inside.protocol);
  if (space == nullptr) return std::nullopt;
  const auto index = space->take_apart(inside.address, inside.port);
  if (!index) return std::nullopt;
  return static_cast<std::uint16_t>(range_.first + *index);
}

template <typename Address>
void PortPool<Address>::prefetch(const InsideEndpoint<Address>& inside) const noexcept {
  if (const auto* space = space_of(inside.protocol); space != nullptr) space->prefetch(inside.address, inside.port);
}

template <typename Address>
void PortPool<Address>::release(std::uint8_t protocol, std::uint16_t outside_port) noexcept {
  auto* space = space_of(protocol);
  if (space == nullptr || !range_.holds(outside_port)) return;
  space->release(static_cast<std::uint32_t>(outside_port - range_.first));
}

template <typename Address>
std::optional<InsideEndpoint<Address>> PortPool<Address>::inside_of(std::uint8_t protocol,
                                                                    std::uint16_t outside_port) const noexcept {
  const auto* space = space_of(protocol);
  if (space == nullptr || !range_.holds(outside_port)) return std::nullopt;
  const auto& bound = space->binding(static_cast<std::uint32_t>(outside_port - range_.first));
  if (bound.holds == 0) return std::nullopt;
  return InsideEndpoint<Address>{bound.address, bound.port, protocol};
}

template <typename Address>
std::uint32_t PortPool<Address>::used(std::uint8_t protocol) const noexcept {
  const auto* space = space_of(protocol);
  return space == nullptr ? 0 : space->used();
}

template class PortPool<net::Ipv4>;
template class PortPool<net::Ipv6>;

}  // namespace millrace::nat
