#include "control/switch/flow_flush.h"

#include <fmt/core.h>

namespace millrace::control::switchd {

net::Result<api::FlushFlowsReply> flush_flows(FlowScans& scans, const api::FlushFlowsRequest& request,
                                              const std::function<bool()>& is_wanted) {
  const auto addresses = parse_flow_addresses(request.addresses());
  if (!addresses) return addresses.error();
  api::FlushFlowsReply reply;
  for (datapath::WorkerId worker = 0; worker < scans.worker_count(); ++worker) {
    for (FlowPlace place; !place.through && is_wanted();) {
      const auto ended = scans.end(worker, *addresses, place);
      if (!ended) {
        return net::Error{ended.error().code,
                          fmt::format("{}; {} flows had ended before", ended.error().message, reply.ended())};
      }
      reply.set_ended(reply.ended() + *ended);
    }
  }
  return reply;
}

}  // namespace millrace::control::switchd
