#include "control/cli/trace_text.h"

#include <fmt/format.h>

#include "control/cli/flow_text.h"
#include "control/cli/join.h"
#include "control/cli/message_json.h"
#include "control/cli/packet_text.h"

namespace millrace::control::cli {

namespace {

std::string line(const char* step, const std::string& text) { return fmt::format("{:<7} {}\n", step, text); }

std::string port_text(const api::TracePort& port, const std::string& address) {
  // What the host port leads to is not the node's alone.
  std::string text =
      port.is_pod() && !port.description().empty() ? fmt::format("{} ({})", port.description(), address) : address;
  text += fmt::format(", port {}", port.name());
  if (!port.is_pod() && !port.description().empty()) text += fmt::format(" ({})", port.description());
  if (port.identity() != 0) text += fmt::format(", identity {}", port.identity());
  return text;
}

std::string service_text(const api::TraceRequest& asked, const api::TraceReply& told) {
  const api::TraceService& service = told.service();
  std::string text =
      fmt::format("{} {}", service.name(), end_text(asked.protocol(), asked.destination(), asked.destination_port()));
  if (service.backend_address().empty()) {
    if (told.drop() == "source_range") return text + ": the source is in none of its ranges";
    const bool is_rejected = service.action() != "drop";
    return text + (is_rejected ? ": no backend for this source" : ": dropped for this source");
  }
  text +=
      fmt::format(" -> {} (1 of {} {}", end_text(asked.protocol(), service.backend_address(), service.backend_port()),
                  service.backend_count(), service.backend_count() == 1 ? "backend" : "backends");
  if (service.has_affinity()) {
    text += ", the client's own by affinity";
  } else if (service.backend_count() > 1 && asked.source_port() == 0) {
    text += "; --source-port decides which";
  }
  return text + ")";
}

std::string policy_text(const api::TracePolicy& policy, const api::TracePort& port, const char* direction) {
  const std::string isolated = fmt::format("{} is isolated by {}", name_of(port), join(policy.objects()));
  switch (policy.answer()) {
    case api::TRACE_POLICY_ANSWER_NOT_REACHED: return "not asked: dropped before";
    case api::TRACE_POLICY_ANSWER_NO_POD: return fmt::format("not asked: {} is no pod's port", port.name());
    case api::TRACE_POLICY_ANSWER_NOT_ISOLATED: return fmt::format("{} is not isolated", name_of(port));
    case api::TRACE_POLICY_ANSWER_ALLOWED:
      return fmt::format("{}; rule {}[{}] of {} allows it", isolated, direction, policy.rule_index(), policy.object());
    case api::TRACE_POLICY_ANSWER_DENIED:
      if (!policy.failure().empty()) return fmt::format("{}, which could not be built: {}", isolated, policy.failure());
      return fmt::format("{}; no rule allows it (default deny)", isolated);
    case api::TRACE_POLICY_ANSWER_FROM_NODE: return fmt::format("{}, but its own node may always reach it", isolated);
    case api::TRACE_POLICY_ANSWER_TO_ITSELF: return "not asked: a pod may always reach itself";
    case api::TRACE_POLICY_ANSWER_PENDING: return fmt::format("{} awaits its policies", name_of(port));
    default: return "unknown";
  }
}

std::string flow_text(const api::TraceReply& told) {
  const api::Flow& flow = told.flow();
  return fmt::format("{}{} {} > {}, {}, {} packets, {} replies", told.is_reply() ? "a reply of " : "",
                     protocol_text(flow.protocol()),
                     end_text(flow.protocol(), flow.original().source(), flow.original().source_port()),
                     end_text(flow.protocol(), flow.original().destination(), flow.original().destination_port()),
                     flow.state(), flow.packets(), flow.reply_packets());
}

std::string verdict_text(const api::TraceReply& told) {
  if (told.is_reply()) return "ALLOW: replies of a flow that is there pass";
  if (told.is_answered()) return "ALLOW: the switch answers it, as the pods' gateway";
  if (!told.drop().empty()) return fmt::format("DROP {}: {}", told.drop(), told.drop_text());
  return fmt::format("ALLOW: leaves by port {}", told.out().name());
}

}  // namespace

bool is_allowed(const api::TraceReply& told) { return told.drop().empty() || told.is_reply(); }

std::string trace_text(const api::TraceRequest& asked, const api::TraceReply& told) {
  std::string text = line("from", port_text(told.in(), address_text(asked.source())));
  if (told.has_service()) text += line("service", service_text(asked, told));
  const char* const nowhere = told.is_answered() ? ", the gateway" : ": no way";
  text += line("to", told.has_out() ? port_text(told.out(), address_text(told.translated().destination()))
                                    : fmt::format("{}{}", address_text(told.translated().destination()), nowhere));
  text += line("egress", policy_text(told.egress(), told.in(), "egress"));
  text += line("ingress", policy_text(told.ingress(), told.out(), "ingress"));
  if (!told.masquerade().empty())
    text += line("leaves", fmt::format("as {} (masquerade)", address_text(told.masquerade())));
  if (told.has_flow()) text += line("flow", flow_text(told));
  return text + line("verdict", verdict_text(told));
}

}  // namespace millrace::control::cli
