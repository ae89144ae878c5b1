/// What a pod's resolver is told: as kubelet tells it with dnsPolicy ClusterFirst.
///
/// Shape:   the configured name servers, or none of it without one; searches NS.svc.DOMAIN, svc.DOMAIN, DOMAIN; a name
///          with fewer than five dots is looked for below these first.
/// Thread:  pure functions.
/// Source:  Kubernetes, "DNS for Services and Pods"; resolv.conf(5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/api/agent.pb.h"
#include "control/config/config.h"
#include "net/address.h"

namespace millrace::control::agent {

struct PodDns {
  std::vector<net::IpAddress> servers;
  std::string domain;
};

inline PodDns pod_dns_of(const config::Config& config) { return {config.dns_servers(), config.dns.domain}; }

/// `pod_namespace` "": no pod of Kubernetes, whose runtime has its own resolver: nothing.
std::optional<api::DnsSettings> dns_settings(const PodDns& dns, const std::string& pod_namespace);

}  // namespace millrace::control::agent
