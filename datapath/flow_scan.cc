#include "datapath/flow_scan.h"

#include <algorithm>

namespace millrace::datapath {
namespace {

template <typename Key>
PacketEnds ends_of_key(const Key& key) noexcept {
  return {net::IpAddress::from(key.source), net::IpAddress::from(key.destination), key.source_port,
          key.destination_port};
}

bool has_end(const PacketEnds& ends, const net::IpAddress& address) noexcept {
  return ends.source == address || ends.destination == address;
}

template <typename Line>
bool is_wanted(const FlowScan& scan, const Line& line) noexcept {
  if (scan.addresses.empty()) return true;
  const PacketEnds original = ends_of_key(line.key), translated = ends_of_key(line.to);
  return std::any_of(scan.addresses.begin(), scan.addresses.end(), [&](const net::IpAddress& address) {
    return has_end(original, address) || has_end(translated, address);
  });
}

template <typename Table, typename Line>
FlowRecord record_of(const Table& table, const Line& line, const nat::Timeouts& timeouts, nat::TickMs now) noexcept {
  const Line& reply = line.partner();
  const nat::FlowId id = table.id_of(line);
  FlowRecord record;
  record.protocol = line.key.protocol;
  record.flags = line.flags;
  record.timer = table.timer(line);
  if (line.key.protocol == net::ip_protocol::kTcp) record.tcp = nat::tcp_state(line);
  record.replied = reply.packets > 0;
  record.out_port = line.out_port;
  record.original = ends_of_key(line.key);
  record.translated = ends_of_key(line.to);
  record.packets = line.packets;
  record.bytes = line.bytes;
  record.reply_packets = reply.packets;
  record.reply_bytes = reply.bytes;
  record.age_ms = now - table.created(id);
  record.idle_ms = now - table.last_seen(id);
  const nat::TickMs timeout = timeouts.of(record.timer);
  record.expires_ms = timeout > record.idle_ms ? timeout - record.idle_ms : 0;
  return record;
}

bool is_full(const FlowScan& scan) noexcept {
  return scan.slots == 0 || (!scan.ends && scan.count == scan.records.size());
}

/// Goes on over one table, whose first slot is number `first` of the scan, for at most `budget` slots.
template <typename Table>
void scan_table(FlowScan& scan, Table& table, std::size_t first, const nat::Timeouts& timeouts, nat::TickMs now,
                unsigned& budget) noexcept {
  nat::FlowId to_end[nat::kEndBatch];
  unsigned found = 0;
  const auto end_found = [&] {
    table.end_flows({to_end, found});
    scan.count += found;
    found = 0;
  };
  for (; budget > 0 && !is_full(scan); --budget) {
    if (scan.next - first >= table.opened()) {
      scan.next = first + table.capacity();
      break;
    }
    --scan.slots;
    const auto id = static_cast<nat::FlowId>(scan.next++ - first);
    const auto* const line = table.at(id);
    if (line == nullptr || !is_wanted(scan, *line)) continue;
    if (scan.ends) {
      to_end[found++] = id;
      if (found == nat::kEndBatch) end_found();
    } else {
      scan.records[scan.count++] = record_of(table, *line, timeouts, now);
    }
  }
  end_found();
}

}  // namespace

bool scan_slice(FlowScan& scan, FlowState& flows, nat::TickMs now) noexcept {
  unsigned budget = scan.ends ? kEndSlice : kScanSlice;
  auto& v4 = flows.table(static_cast<const nat::FlowLineV4*>(nullptr));
  auto& v6 = flows.table(static_cast<const nat::FlowLineV6*>(nullptr));
  const nat::Timeouts& timeouts = flows.settings().timeouts;
  if (scan.next < v4.capacity()) scan_table(scan, v4, 0, timeouts, now, budget);
  if (scan.next >= v4.capacity()) scan_table(scan, v6, v4.capacity(), timeouts, now, budget);
  const bool is_through = scan.next >= v4.capacity() + v6.capacity();
  if (!is_through && !is_full(scan)) return false;
  if (scan.ends) flows.measure();
  scan.state.store(is_through ? FlowScan::State::kThrough : FlowScan::State::kFull, std::memory_order_release);
  return true;
}

}  // namespace millrace::datapath
