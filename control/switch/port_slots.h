/// PortSlots: which PortIds are free.
///
/// Shape:   ids 0 .. limit - 1. An id that was given back is the last to be taken again, so that a late trace line or
///          counter reading of a removed port is not mistaken for the next one's.
/// Thread:  one control thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "net/packet.h"

namespace millrace::control::switchd {

class PortSlots {
 public:
  explicit PortSlots(std::uint32_t limit) {
    for (std::uint32_t id = 0; id < limit; ++id) free_.push_back(static_cast<net::PortId>(id));
  }
  std::size_t free_count() const noexcept { return free_.size(); }
  /// nullopt when every id is taken.
  std::optional<net::PortId> take() {
    if (free_.empty()) return std::nullopt;
    const net::PortId id = free_.front();
    free_.pop_front();
    return id;
  }
  /// Only after every worker has passed the snapshots in which a port had this id.
  void give_back(net::PortId id) { free_.push_back(id); }
  /// An id that was taken but never published: taken again first.
  void undo_take(net::PortId id) { free_.push_front(id); }

 private:
  std::deque<net::PortId> free_;
};

}  // namespace millrace::control::switchd
