#include "datapath/io/vhost_link.h"

#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "datapath/io/vhost_links.h"
#include "datapath/io/vhost_message.h"
#include "datapath/io/vhost_ring.h"
#include "datapath/io/vhost_socket.h"

namespace millrace::datapath::io {
namespace {

/// DPDK 22.11, lib/vhost/socket.c, vhost_user_add_connection: a connection is watched a moment before it is in its
/// socket's list. A guest that listens and hangs up at once may so be taken from a list that it is not in, when another
/// thread than vhost-events connected to it. Nothing tells when that thread is done; it has a few instructions left.
constexpr std::chrono::milliseconds kUntilListed{50};

struct VhostEvents {
  /// The guest's next message may change its rings, or take its memory away.
  static rte_vhost_msg_result before_message(int guest, void* context) {
    vhost_socket::hand_over();
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
    VhostMessage message(context);
    if (const char* const reason = refusal(*link, guest, message); reason != nullptr) {
      link->refusals.fetch_add(1);
      // Once a connection: a guest may go on and on.
      if (!std::exchange(link->is_refusal_told, true)) {
        spdlog::warn("vhost-user socket {}: its guest wants {}: refused", path_of(guest), reason);
      }
      message.close_descriptors();
      return RTE_VHOST_MSG_RESULT_ERR;
    }
    if (link->rules.is_ignored(message)) {
      message.close_descriptors();
      return RTE_VHOST_MSG_RESULT_OK;
    }
    link->rings.pause();
    if (message.changes_memory()) {
      link->memory.begin_change();
      link->has_memory = false;
    }
    return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
  }
  static rte_vhost_msg_result after_message(int guest, void* context) {
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
    const VhostMessage message(context);
    link->rules.done(message, rte_vhost_get_vring_num(guest));
    if (message.lends_memory()) link->has_memory = true;
    if (!link->memory.is_settled()) settle_memory(*link, guest);
    if (link->guest == guest && link->has_memory) resume_rings(*link, guest);
    return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
  }
  static constexpr rte_vhost_user_extern_ops kMessages{before_message, after_message};

  static std::shared_ptr<VhostLink> link_of(int guest) {
    return std::static_pointer_cast<VhostLink>(VhostLinks::all().of(guest));
  }

  static const char* refusal(VhostLink& link, int guest, const VhostMessage& message) {
    if (const char* const reason = message.refusal(link.has_memory); reason != nullptr) return reason;
    std::uint64_t features = 0;
    rte_vhost_get_negotiated_features(guest, &features);
    std::array<RingRules::Memory, LentMemory::kRegions> lent;
    const std::size_t count = regions_of(
        link, guest, lent, +[](const rte_vhost_mem_region& region) {
          return RingRules::Memory{region.guest_user_addr, region.size};
        });
    return link.rules.refusal(message, features, std::span(lent).first(count));
  }

  /// What `as` makes of each region that the guest has lent; returns how many.
  template <typename T>
  static std::size_t regions_of(const VhostLink& link, int guest, std::array<T, LentMemory::kRegions>& regions,
                                T (*as)(const rte_vhost_mem_region&)) {
    std::size_t count = 0;
    rte_vhost_memory* table = nullptr;
    if (!link.has_memory || rte_vhost_get_mem_table(guest, &table) != 0) return 0;
    const std::unique_ptr<rte_vhost_memory, decltype(&std::free)> owned(table, &std::free);
    for (; count < table->nregions && count < regions.size(); ++count) regions[count] = as(table->regions[count]);
    return count;
  }

  static void settle_memory(VhostLink& link, int guest) {
    std::array<LentMemory::Region, LentMemory::kRegions> regions;
    const std::size_t count = regions_of(
        link, guest, regions, +[](const rte_vhost_mem_region& region) {
          return LentMemory::Region{reinterpret_cast<std::uintptr_t>(region.mmap_addr), region.mmap_size};
        });
    link.memory.settle(std::span(regions).first(count));
  }
  /// The guest may lose its memory meanwhile.
  static void resume_rings(VhostLink& link, int guest) {
    link.rings.resume(guest);
    if (link.has_lost_memory.load(std::memory_order_seq_cst)) link.rings.close();
  }

  static std::string path_of(int guest) {
    std::array<char, sizeof(sockaddr_un::sun_path) + 1> path{};
    return rte_vhost_get_ifname(guest, path.data(), path.size()) == 0 ? path.data() : "";
  }
  static void set_kick(VhostLink& link, int guest, unsigned pair) {
    rte_vhost_vring ring{};
    if (rte_vhost_get_vhost_vring(guest, from_guest(pair), &ring) == 0) link.kicks->set(pair, ring.kickfd);
  }

  static int new_connection(int guest) {
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != kNoGuest) return -1;
    link->connection = guest;
    link->connected_by = std::this_thread::get_id();
    link->connected_at = std::chrono::steady_clock::now();
    return rte_vhost_extern_callback_register(guest, &kMessages, nullptr);
  }
  static void destroy_connection(int guest) {
    vhost_socket::close_left();
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return;
    if (link->connected_by != std::this_thread::get_id()) {
      std::this_thread::sleep_until(link->connected_at + kUntilListed);
    }
    link->pairs = 0;
    link->rings.forget();
    link->kicks->clear_all();
    link->memory.settle({});  // DPDK unmaps it next
    link->rules.forget();
    link->has_memory = false;
    link->is_refusal_told = false;
    link->has_lost_memory = false;
    link->connection = kNoGuest;
  }
  static int new_device(int guest) {
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest || link->has_lost_memory) return -1;
    const auto pairs = std::min<unsigned>(rte_vhost_get_vring_num(guest) / 2u, link->pair_limit);
    // Those of a guest that stopped and goes on were ready before.
    for (unsigned pair = 0; pair < pairs; ++pair) set_kick(*link, guest, pair);
    std::uint64_t features = 0;
    rte_vhost_get_negotiated_features(guest, &features);
    link->features = features;
    resume_rings(*link, guest);
    link->guest.store(guest, std::memory_order_seq_cst);
    if (link->has_lost_memory.load(std::memory_order_seq_cst)) link->guest.store(kNoGuest, std::memory_order_seq_cst);
    link->kicks->wake();  // a worker that rests does not know yet whether this guest kicks
    return 0;
  }
  static void destroy_device(int guest) {
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return;
    link->guest.store(kNoGuest, std::memory_order_seq_cst);
    while (link->in_burst.load(std::memory_order_seq_cst)) ::sched_yield();
    link->rings.pause();
    link->kicks->clear_all();     // DPDK closes its own next
    link->memory.begin_change();  // and may unmap
  }
  /// DPDK holds the queue's lock here.
  static int vring_state_changed(int guest, std::uint16_t queue, int is_enabled) {
    const auto link = link_of(guest);
    const unsigned pair = queue / 2u;
    if (link == nullptr || link->connection != guest) return 0;
    if (is_enabled != 0) resume_ring(guest, queue);
    link->rings.set_enabled(queue, is_enabled != 0);
    if (queue == from_guest(pair)) {
      if (is_enabled == 0) {
        link->kicks->clear(pair);
      } else if (pair < link->pair_limit) {
        set_kick(*link, guest, pair);
      }
      return 0;
    }
    if (pair >= link->pair_limit) {
      if (is_enabled != 0) {
        spdlog::warn("vhost-user: a guest uses its queue pair {}; the port serves {}: what it sends there is not read",
                     pair + 1, link->pair_limit);
      }
      return 0;
    }
    if (is_enabled != 0) {
      link->pairs.fetch_or(1ull << pair);
    } else {
      link->pairs.fetch_and(~(1ull << pair));
    }
    return 0;
  }
};

}  // namespace

void VhostLink::lose_memory() noexcept {
  if (!has_lost_memory.exchange(true, std::memory_order_seq_cst)) memory_losses.fetch_add(1);
  guest.store(kNoGuest, std::memory_order_seq_cst);
  rings.close();
}

const rte_vhost_device_ops kVhostEvents = [] {
  rte_vhost_device_ops calls{};
  calls.new_device = VhostEvents::new_device;
  calls.destroy_device = VhostEvents::destroy_device;
  calls.vring_state_changed = VhostEvents::vring_state_changed;
  calls.new_connection = VhostEvents::new_connection;
  calls.destroy_connection = VhostEvents::destroy_connection;
  return calls;
}();

}  // namespace millrace::datapath::io
