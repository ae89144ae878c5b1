/// `millrace counters -o prometheus`: everything that is counted, in Prometheus's text format.
///
/// Shape:   one family after the other, each with its help and type; counters end in _total, and those of ports and
///          tunnels start from 0 with the switch. Ports that are gone are the port "(removed)", so that sums never fall
///          while the switch runs. Units are packets and bytes.
/// Thread:  pure function.
/// Source:  prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4.
#pragma once

#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

std::string metrics_text(const api::SwitchStatus& status, const api::GetCountersReply& counters,
                         const api::ListTunnelsReply& tunnels);

}  // namespace millrace::control::cli
