#include "control/switch/packet_report.h"

#include <string>

#include "control/switch/wire_fields.h"
#include "nat/service_table.h"
#include "net/drop.h"

namespace millrace::control::switchd {
namespace {

using datapath::HandoffStage;

api::PacketStage to_proto(HandoffStage stage) {
  switch (stage) {
    case HandoffStage::kArrived: return api::PACKET_STAGE_ARRIVED;
    case HandoffStage::kForwarded: return api::PACKET_STAGE_FORWARDED;
    case HandoffStage::kAnswer: return api::PACKET_STAGE_ANSWER;
  }
  return api::PACKET_STAGE_UNSPECIFIED;
}

void fill(const PortView::Entry* entry, api::PacketPort& port) {
  if (entry == nullptr) return;
  port.set_name(entry->name);
  port.set_description(entry->description);
}

/// Whose policies they are is in `out`: datapath/event_tap.h.
void fill_policies(net::Drop drop, const PortView::Entry* out, api::PacketEvent& report) {
  if (out == nullptr) return;
  if (drop != net::Drop::kPolicyIngress && drop != net::Drop::kPolicyEgress) return;
  const auto direction = drop == net::Drop::kPolicyIngress ? Direction::kIngress : Direction::kEgress;
  const auto& names = out->isolating[static_cast<unsigned>(direction)];
  if (names == nullptr) return;
  for (const std::string& name : *names) report.add_policies(name);
}

}  // namespace

api::PacketEvent to_proto(const datapath::PacketEvent& event, const PortView::Entry* in, const PortView::Entry* out,
                          const PortView& view, std::chrono::nanoseconds clock_offset) {
  api::PacketEvent report;
  report.set_time_unix_ns(event.time_ns + static_cast<std::uint64_t>(clock_offset.count()));
  report.set_generation(event.generation);
  report.set_worker(event.worker);
  report.set_stage(to_proto(event.stage));
  fill(in, *report.mutable_in());
  if (out != nullptr) fill(out, *report.mutable_out());
  report.set_length_bytes(event.length_bytes);
  if (event.drop != net::Drop::kNone) {
    report.set_drop(std::string(net::drop_name(event.drop)));
    report.set_drop_text(std::string(net::drop_text(event.drop)));
    fill_policies(event.drop, out, report);
  } else {
    report.set_next_worker(event.next);
  }
  if (event.l3 == net::L3::kNone) return report;
  const datapath::PacketEnds& ends = event.arrived;
  report.set_protocol(event.protocol);
  report.set_icmp_type(event.icmp_type);
  report.set_is_reply(event.is_reply);
  fill(ends, *report.mutable_arrived());
  if (event.drop == net::Drop::kNone) fill(event.left, *report.mutable_left());
  report.set_source(view.description_of(ends.source));
  report.set_destination(view.description_of(ends.destination));
  if (view.services->table != nullptr) {
    const nat::Service* service =
        view.services->table->service_of(ends.destination, event.protocol, ends.destination_port);
    if (service != nullptr) report.set_service(nat::name_of(*service));
  }
  return report;
}

}  // namespace millrace::control::switchd
