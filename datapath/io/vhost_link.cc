#include "datapath/io/vhost_link.h"

#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "datapath/io/vhost_links.h"
#include "datapath/io/vhost_ring.h"

namespace millrace::datapath::io {
namespace {

/// DPDK 22.11, lib/vhost/socket.c, vhost_user_add_connection: a connection is watched a moment before it is in its
/// socket's list. A guest that listens and hangs up at once may so be taken from a list that it is not in, when another
/// thread than vhost-events connected to it. Nothing tells when that thread is done; it has a few instructions left.
constexpr std::chrono::milliseconds kUntilListed{50};

struct VhostEvents {
  /// The guest's next message may change its rings, or take its memory away.
  static rte_vhost_msg_result before_message(int guest, void*) {
    if (const auto link = link_of(guest); link != nullptr && link->connection == guest) link->rings.pause();
    return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
  }
  static rte_vhost_msg_result after_message(int guest, void*) {
    const auto link = link_of(guest);
    if (link != nullptr && link->connection == guest && link->guest == guest) link->rings.resume(guest);
    return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
  }
  static constexpr rte_vhost_user_extern_ops kMessages{before_message, after_message};

  static std::shared_ptr<VhostLink> link_of(int guest) {
    return std::static_pointer_cast<VhostLink>(VhostLinks::all().of(guest));
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
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return;
    if (link->connected_by != std::this_thread::get_id()) {
      std::this_thread::sleep_until(link->connected_at + kUntilListed);
    }
    link->pairs = 0;
    link->rings.forget();
    link->kicks->clear_all();
    link->connection = kNoGuest;
  }
  static int new_device(int guest) {
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return -1;
    const auto pairs = std::min<unsigned>(rte_vhost_get_vring_num(guest) / 2u, link->pair_limit);
    // Those of a guest that stopped and goes on were ready before.
    for (unsigned pair = 0; pair < pairs; ++pair) set_kick(*link, guest, pair);
    std::uint64_t features = 0;
    rte_vhost_get_negotiated_features(guest, &features);
    link->features = features;
    link->rings.resume(guest);
    link->guest.store(guest, std::memory_order_seq_cst);
    link->kicks->wake();  // a worker that rests does not know yet whether this guest kicks
    return 0;
  }
  static void destroy_device(int guest) {
    const auto link = link_of(guest);
    if (link == nullptr || link->connection != guest) return;
    link->guest.store(kNoGuest, std::memory_order_seq_cst);
    while (link->in_burst.load(std::memory_order_seq_cst)) ::sched_yield();
    link->rings.pause();
    link->kicks->clear_all();  // DPDK closes its own next
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
