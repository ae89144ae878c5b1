/// Report: the result of a run, as a line for a person or as JSON for a program.
///
/// Shape:   JSON keys: interface, packets, bytes, seconds, pps, gbps; a sender adds made and dropped. bytes and gbps
///          count frames without FCS, preamble and gap.
/// Thread:  pure functions.
#pragma once

#include <string>

#include "perf/gen/receiver.h"
#include "perf/gen/sender.h"

namespace millrace::perf::gen {

std::string send_line(const std::string& interface, const SendResult& result, std::uint32_t frame_bytes);
std::string send_json(const std::string& interface, const SendResult& result, std::uint32_t frame_bytes);
std::string receive_line(const std::string& interface, const ReceiveResult& result);
std::string receive_json(const std::string& interface, const ReceiveResult& result);

}  // namespace millrace::perf::gen
