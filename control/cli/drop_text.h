/// Drops by pod and reason.
///
/// Shape:   a row is a port and a reason; drops count where the packet came in. What a pod's ingress policies refused
///          came in elsewhere: it is a row "refused" of the pod's, and not counted twice in the sums of the counters.
/// Thread:  pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

inline constexpr const char* kRefused = "refused";

struct DropRow {
  std::string pod;  // description of the port; "(removed)" of those that are gone
  std::string port;
  std::string drop;
  std::uint64_t packets = 0;
  std::string why;
};

/// `only`: names of ports; empty: all, and those that are gone.
std::vector<DropRow> drop_rows(const api::ListPortsReply& ports, const api::GetCountersReply& counters,
                               const std::set<std::string>& only);
std::string drop_table(const std::vector<DropRow>& rows);
nlohmann::ordered_json drop_json(const std::vector<DropRow>& rows);

}  // namespace millrace::control::cli
