#include "control/agent/pod_dns.h"

#include <fmt/format.h>

namespace millrace::control::agent {

std::optional<api::DnsSettings> dns_settings(const PodDns& dns, const std::string& pod_namespace) {
  if (dns.servers.empty() || pod_namespace.empty()) return std::nullopt;
  api::DnsSettings settings;
  for (const net::IpAddress& server : dns.servers) settings.add_nameservers(server.to_string());
  settings.set_domain(dns.domain);
  settings.add_searches(fmt::format("{}.svc.{}", pod_namespace, dns.domain));
  settings.add_searches(fmt::format("svc.{}", dns.domain));
  settings.add_searches(dns.domain);
  settings.add_options("ndots:5");
  return settings;
}

}  // namespace millrace::control::agent
