#include "control/cli/packet_text.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

#include "control/cli/flow_text.h"
#include "control/cli/join.h"
#include "control/cli/message_json.h"

namespace millrace::control::cli {

namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint32_t kIcmp = 1, kIcmpv6 = 58;

std::string time_text(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / kNanosecondsPerSecond);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 16> clock{};
  std::strftime(clock.data(), clock.size(), "%H:%M:%S", &local);
  return fmt::format("{}.{:06}", clock.data(), unix_ns % kNanosecondsPerSecond / 1000);
}

std::string destination_text(const api::PacketEvent& event, const api::FlowTuple& tuple) {
  const bool is_icmp = event.protocol() == kIcmp || event.protocol() == kIcmpv6;
  if (is_icmp) return address_text(tuple.destination());
  return end_text(event.protocol(), tuple.destination(), tuple.destination_port());
}

/// The ends and what they are called; "no IP packet" when they are not known.
std::string ends_text(const api::PacketEvent& event) {
  if (!event.has_arrived()) return "no addresses";
  const api::FlowTuple& arrived = event.arrived();
  const std::string& whose = event.service().empty() ? event.destination() : event.service();
  const bool is_icmp = event.protocol() == kIcmp || event.protocol() == kIcmpv6;
  return fmt::format("{}{} {} > {}{}", protocol_text(event.protocol()),
                     is_icmp ? fmt::format(" type {}", event.icmp_type()) : "",
                     end_text(event.protocol(), arrived.source(), arrived.source_port()),
                     destination_text(event, arrived), whose.empty() ? "" : fmt::format(" ({})", whose));
}

std::string drop_text(const api::PacketEvent& event) {
  if (event.policies_size() > 0) {
    return fmt::format("DROP {}: {} is isolated by {}", event.drop(), name_of(event.out()), join(event.policies()));
  }
  return fmt::format("DROP {}: {}", event.drop(), event.drop_text());
}

/// What a translation changed, and where it went.
std::string way_text(const api::PacketEvent& event) {
  std::string text;
  if (event.has_arrived() && event.has_left()) {
    const api::FlowTuple &a = event.arrived(), &b = event.left();
    if (a.source() != b.source() || a.source_port() != b.source_port()) {
      text += fmt::format("from {}, ", end_text(event.protocol(), b.source(), b.source_port()));
    }
    if (a.destination() != b.destination() || a.destination_port() != b.destination_port()) {
      text += fmt::format("to {}, ", destination_text(event, b));
    }
  }
  if (event.has_out()) text += fmt::format("out by {}, ", name_of(event.out()));
  text += fmt::format("worker {}", event.worker());
  if (event.next_worker() != event.worker()) text += fmt::format(" then {}", event.next_worker());
  return text;
}

}  // namespace

std::string packet_line(const api::PacketEvent& event) {
  const std::string in = name_of(event.in());
  return fmt::format("{} {}: {}, {}{} bytes, {}\n", time_text(event.time_unix_ns()), in.empty() ? "?" : in,
                     ends_text(event), event.is_reply() ? "reply, " : "", event.length_bytes(),
                     event.drop().empty() ? way_text(event) : drop_text(event));
}

}  // namespace millrace::control::cli
