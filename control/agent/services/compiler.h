/// Keeps the switch's services in step with the cluster's objects, and compiles only what a change touches.
///
/// Shape:   note() takes changes of Services, EndpointSlices, Endpoints, Pods and Nodes in any order: an endpoint may
///          be known before its service. take_changes() compiles the services they touch and returns what differs from
///          what it returned before.
/// Cost:    a change costs its services' endpoints and frontends, whatever else there is.
/// Errors:  none: what cannot be is left out and told in `problems`, each once.
/// Thread:  one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/agent/object_store.h"
#include "control/agent/services/compile.h"
#include "control/agent/services/frontend_claims.h"
#include "control/agent/services/node.h"
#include "control/agent/services/pod_index.h"

namespace millrace::control::agent::services {

struct Changes {
  std::vector<api::Service> upserts;
  std::vector<std::string> removes;   // names
  std::vector<std::string> problems;  // sentences, new ones
  bool empty() const { return upserts.empty() && removes.empty(); }
};

/// What a load balancer's probe of this node is told.
struct HealthCheck {
  std::uint16_t port = 0;
  std::size_t local_endpoints = 0;
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

class Compiler {
 public:
  explicit Compiler(Node node) : node_(std::move(node)) {}

  void note(const ObjectChange& change);
  /// The addresses of node ports, which no object tells.
  void set_node_addresses(std::vector<net::IpAddress> addresses);
  Changes take_changes();

  /// Of Services of type LoadBalancer with externalTrafficPolicy Local, as of the last take_changes().
  const std::map<kube::ObjectKey, HealthCheck>& health_checks() const { return health_; }

 private:
  struct Entry {
    std::shared_ptr<const kube::Service> service;                              // nullptr: only endpoints are known
    std::map<std::string, std::shared_ptr<const kube::EndpointSlice>> slices;  // by name
    std::shared_ptr<const kube::Endpoints> endpoints;
    std::vector<std::string> names;  // in made_
    std::vector<std::string> problems;
    bool is_empty() const { return !service && slices.empty() && !endpoints && names.empty(); }
  };
  struct Made {
    api::Service wanted;            // with every frontend it would have
    std::string sent;               // bytes of what was returned last; empty: nothing
    std::vector<std::string> lost;  // problems: frontends that are another service's
    bool gone = false;
  };

  void note_slice(const kube::EndpointSlice& slice, const std::shared_ptr<const kube::EndpointSlice>& after);
  void compile_one(const kube::ObjectKey& key, Changes& changes);
  void note_health(const kube::ObjectKey& key, const Entry& entry, std::size_t local_endpoints);
  void emit(const std::string& name, Changes& changes);
  void touch_all();

  Node node_;
  PodIndex pods_;
  FrontendClaims claims_;
  std::map<kube::ObjectKey, Entry> entries_;  // by the service's key
  std::map<std::string, Made> made_;          // by the switch's name
  std::map<kube::ObjectKey, HealthCheck> health_;
  std::set<kube::ObjectKey> touched_;    // to compile
  std::set<std::string> touched_names_;  // to compare with what was sent
};

}  // namespace millrace::control::agent::services
