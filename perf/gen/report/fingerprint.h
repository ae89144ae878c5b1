/// fingerprint: what a figure depends on besides the code: written beside every figure.
///
/// Shape:   JSON object: time (UTC), version, cpu, cpus, virtual_machine, governor, memory_bytes, packets_in, kernel,
///          compiler. What cannot be read is "unknown".
/// Thread:  any; reads /proc and /sys.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace millrace::perf::gen {

/// `packet_memory`: what the packets lie in, from the EAL.
nlohmann::ordered_json fingerprint(const std::string& packet_memory);

}  // namespace millrace::perf::gen
