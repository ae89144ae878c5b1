#include "perf/gen/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace millrace::perf::gen {
namespace {

double per_second(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

nlohmann::ordered_json base(const std::string& interface, std::uint64_t packets, std::uint64_t bytes, double seconds) {
  return {{"interface", interface},
          {"packets", packets},
          {"bytes", bytes},
          {"seconds", seconds},
          {"pps", per_second(packets, seconds)},
          {"gbps", per_second(bytes, seconds) * 8 / 1e9}};
}

std::string line(const char* verb, const std::string& interface, std::uint64_t packets, std::uint64_t bytes,
                 double seconds) {
  return fmt::format("{} {} packets, {} bytes on {} in {:.3f} s: {:.3f} Mpps, {:.3f} Gbit/s", verb, packets, bytes,
                     interface, seconds, per_second(packets, seconds) / 1e6, per_second(bytes, seconds) * 8 / 1e9);
}

}  // namespace

std::string send_line(const std::string& interface, const SendResult& result, std::uint32_t frame_bytes) {
  std::string text = line("sent", interface, result.accepted, result.accepted * frame_bytes, result.seconds);
  if (result.dropped != 0) text += fmt::format(" ({} more did not fit into the other end's ring)", result.dropped);
  return text;
}

std::string send_json(const std::string& interface, const SendResult& result, std::uint32_t frame_bytes) {
  auto json = base(interface, result.accepted, result.accepted * frame_bytes, result.seconds);
  json["made"] = result.made;
  json["dropped"] = result.dropped;
  return json.dump();
}

std::string receive_line(const std::string& interface, const ReceiveResult& result) {
  return line("received", interface, result.packets, result.bytes, result.seconds);
}

std::string receive_json(const std::string& interface, const ReceiveResult& result) {
  return base(interface, result.packets, result.bytes, result.seconds).dump();
}

}  // namespace millrace::perf::gen
