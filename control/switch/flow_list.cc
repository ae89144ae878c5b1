#include "control/switch/flow_list.h"

#include <cctype>
#include <string>

#include "control/switch/wire_fields.h"
#include "nat/tcp_state.h"

namespace millrace::control::switchd {
namespace {

using datapath::FlowRecord;

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string state_text(const FlowRecord& record) {
  if (record.protocol == net::ip_protocol::kTcp) return upper(nat::to_string(record.tcp));
  switch (record.timer) {
    case nat::FlowTimer::kSctpHandshake: return "OPENING";
    case nat::FlowTimer::kSctpEstablished: return "ESTABLISHED";
    case nat::FlowTimer::kSctpClosing: return "CLOSING";
    default: return record.replied ? "REPLIED" : "UNREPLIED";
  }
}

}  // namespace

api::Flow to_proto(const FlowRecord& record, std::uint32_t worker, const std::string& out_port,
                   const std::string& service) {
  api::Flow flow;
  flow.set_worker(worker);
  flow.set_protocol(record.protocol);
  fill(record.original, *flow.mutable_original());
  fill(record.translated, *flow.mutable_translated());
  flow.set_state(state_text(record));
  flow.set_age_ms(record.age_ms);
  flow.set_idle_ms(record.idle_ms);
  flow.set_expires_ms(record.expires_ms);
  flow.set_packets(record.packets);
  flow.set_bytes(record.bytes);
  flow.set_reply_packets(record.reply_packets);
  flow.set_reply_bytes(record.reply_bytes);
  flow.set_out_port(out_port);
  flow.set_service(service);
  flow.set_masqueraded((record.flags & nat::line_flag::kMasquerade) != 0);
  return flow;
}

net::Result<void> FlowLister::list(const api::ListFlowsRequest& request, const Sink& sink) {
  const auto addresses = parse_flow_addresses(request.addresses());
  if (!addresses) return addresses.error();
  std::uint64_t left = request.limit() == 0 ? ~std::uint64_t{0} : request.limit();
  for (datapath::WorkerId worker = 0; worker < scans_.worker_count(); ++worker) {
    for (FlowPlace place; !place.through && left > 0;) {
      auto records = scans_.copy(worker, *addresses, place);
      if (!records) return records.error();
      if (records->size() > left) records->resize(left);
      left -= records->size();
      // The sink gets empty ones too: it knows whether anybody still waits while nothing matches.
      if (!sink(to_batch(worker, *records))) return {};
    }
  }
  return {};
}

api::FlowBatch FlowLister::to_batch(datapath::WorkerId worker, const std::vector<FlowRecord>& records) const {
  const std::vector<std::string> ports = state_.port_names();
  const auto services = state_.services();
  api::FlowBatch batch;
  for (const FlowRecord& record : records) {
    std::string service;
    if ((record.flags & nat::line_flag::kService) != 0 && services->table != nullptr) {
      const nat::Service* found =
          services->table->service_of(record.original.destination, record.protocol, record.original.destination_port);
      if (found != nullptr) service = nat::name_of(*found);
    }
    const std::string port = record.out_port < ports.size() ? ports[record.out_port] : std::string();
    *batch.add_flows() = to_proto(record, worker, port, service);
  }
  return batch;
}

}  // namespace millrace::control::switchd
