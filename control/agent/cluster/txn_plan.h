/// An edit as etcd's transactions: what must be one is in one, and what is there before what.
///
/// Shape:   an object is written if its key is at the revision that the edit was made of, and with it the claims of its
///          cluster addresses and node ports: made if nobody has them, freed with those of the Service that had them.
///          Services that pass a claim on to one another are in one transaction.
///          Everything fits one transaction, or there are several in this order, so that none in between shows a half:
///          Namespaces, NetworkPolicies, Nodes, Pods, EndpointSlices, Endpoints, Services; removals in the opposite
///          one. So a pod is never there without its policies, nor a Service before its endpoints.
/// Errors:  kInvalidArgument for an object that is larger than a transaction, or a Service with more claims.
/// Thread:  with the memory's hold.
#pragma once

#include <vector>

#include "control/agent/cluster/cluster_view.h"
#include "control/agent/object_memory.h"
#include "control/etcd/client.h"

namespace millrace::control::agent::cluster {

struct PlannedTxn {
  etcd::Txn txn;
  std::vector<kube::ObjectKey> objects;  // that are in force when it succeeded
};

struct TxnPlan {
  std::vector<PlannedTxn> txns;
  bool is_stale = false;  // claims came to light that the edit did not know: it is to be made again
};

/// The claims that a Service holds.
std::vector<Key> claims_of(const kube::Service& service);

net::Result<TxnPlan> plan_txns(const ObjectEdit& edit, ObjectMemory& memory, const ClusterView& view, const Keys& keys);

}  // namespace millrace::control::agent::cluster
