#include "datapath/io/vhost_ring.h"

#include <rte_vhost.h>
#include <spdlog/spdlog.h>

#include <span>

#include "datapath/io/guest_calls.h"
#include "datapath/io/packed_ring.h"

namespace millrace::datapath::io {
namespace {

constexpr unsigned kPackedBit = 34;  // virtio 1.2, section 6

void find_place(int guest, std::uint16_t queue, const rte_vhost_vring& vring) noexcept {
  std::uint16_t told = 0, used = 0;
  if (rte_vhost_get_vring_base(guest, queue, &told, &used) != 0) return;
  // DPDK has mapped all of it, and knows its size.
  const std::span ring(reinterpret_cast<PackedDescriptor*>(vring.desc_packed), vring.size);
  const auto found = find_position(ring);
  if (!found) {
    spdlog::warn("vhost-user: queue {} of a guest: its ring does not tell where it was left", queue);
    return;
  }
  const std::uint16_t base = finish_rest(ring, *found).base();
  if (told == base && used == base && found->rest == 0) return;
  rte_vhost_set_vring_base(guest, queue, base, base);
  spdlog::info("vhost-user: queue {} of a guest goes on at {} of {}, where it was left; {} given back", queue,
               base & 0x7fffu, vring.size, found->rest);
}

}  // namespace

void resume_ring(int guest, std::uint16_t queue) noexcept {
  rte_vhost_vring vring{};
  if (rte_vhost_get_vhost_vring(guest, queue, &vring) != 0) return;
  std::uint64_t features = 0;
  rte_vhost_get_negotiated_features(guest, &features);
  if ((features >> kPackedBit & 1) != 0 && vring.desc_packed != nullptr) find_place(guest, queue, vring);
  // rte_vhost_vring_call() takes the lock that DPDK holds here.
  if (vring.callfd >= 0) GuestCalls::call(vring.callfd);
}

}  // namespace millrace::datapath::io
