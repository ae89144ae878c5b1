#include "control/agent/cluster/txn_plan.h"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/format.h>

#include "control/agent/cluster/values.h"

namespace millrace::control::agent::cluster {
namespace {

using kube::Kind;

/// Of one object and what goes with it.
struct Piece {
  std::size_t rank = 0;
  etcd::Txn txn;
  std::vector<kube::ObjectKey> objects;

  std::size_t bytes() const {
    constexpr std::size_t kOverhead = 64;  // of a message's fields
    std::size_t sum = 0;
    for (const auto& compare : txn.compares) sum += compare.key.size() + kOverhead;
    for (const auto& put : txn.puts) sum += put.key.size() + put.value.size() + kOverhead;
    for (const auto& erase : txn.erases) sum += erase.key.size() + kOverhead;
    return sum;
  }
  std::size_t operations() const { return std::max(txn.compares.size(), txn.puts.size() + txn.erases.size()); }
  bool fits_with(const Piece& other) const {
    return txn.compares.size() + other.txn.compares.size() <= etcd::kTxnOperations &&
           txn.puts.size() + txn.erases.size() + other.txn.puts.size() + other.txn.erases.size() <=
               etcd::kTxnOperations &&
           bytes() + other.bytes() <= etcd::kRequestBytes;
  }
  void add(Piece other) {
    rank = std::max(rank, other.rank);
    // Two objects may rest on one key: the owner of a claim that is stale.
    for (etcd::Compare& compare : other.txn.compares) {
      const auto is_same = [&](const etcd::Compare& each) { return each.key == compare.key; };
      if (std::ranges::none_of(txn.compares, is_same)) txn.compares.push_back(std::move(compare));
    }
    std::ranges::move(other.txn.puts, std::back_inserter(txn.puts));
    std::ranges::move(other.txn.erases, std::back_inserter(txn.erases));
    std::ranges::move(other.objects, std::back_inserter(objects));
  }
};

constexpr std::array kOrder = {Kind::kNamespace,     Kind::kNetworkPolicy, Kind::kNode,   Kind::kPod,
                               Kind::kEndpointSlice, Kind::kEndpoints,     Kind::kService};

/// What is put comes first, then what goes, in the opposite order.
std::size_t rank_of(Kind kind, bool is_put) {
  const auto place = static_cast<std::size_t>(std::ranges::find(kOrder, kind) - kOrder.begin());
  return is_put ? place : 2 * kOrder.size() - place;
}

class Planner {
 public:
  Planner(const ObjectEdit& edit, ObjectMemory& memory, const ClusterView& view, const Keys& keys)
      : edit_(edit), memory_(memory), view_(view), keys_(keys) {}

  net::Result<TxnPlan> plan() {
    for (const auto& [key, record] : edit_.put) note_claims(key, std::get_if<kube::Service>(record.object.get()));
    for (const kube::ObjectKey& key : edit_.gone) note_claims(key, nullptr);
    for (const auto& [key, record] : edit_.put) {
      Piece& piece = begin(key, true);
      piece.txn.puts.push_back({keys_.print(key), object_value(record)});
      if (const auto* service = std::get_if<kube::Service>(record.object.get())) add_claims(key, *service, piece);
    }
    for (const kube::ObjectKey& key : edit_.gone) begin(key, false).txn.erases.push_back({keys_.print(key)});
    free_claims();
    return pack(unite());
  }

 private:
  Piece& begin(const kube::ObjectKey& key, bool is_put) {
    piece_of_[key] = pieces_.size();
    Piece& piece = pieces_.emplace_back();
    piece.rank = rank_of(key.kind, is_put);
    piece.objects.push_back(key);
    compare(piece, keys_.print(key), view_.revision_of(key));
    return piece;
  }

  static void compare(Piece& piece, const std::string& key, std::int64_t revision) {
    piece.txn.compares.push_back({key, etcd::Compare::Target::kModRevision, revision});
  }

  static std::string owner_of(const kube::ObjectKey& key) { return key.name_space + "/" + key.name; }
  static kube::ObjectKey owner_key(const std::string& owner) {
    const std::size_t slash = owner.find('/');
    return {Kind::kService, owner.substr(0, slash), slash == std::string::npos ? "" : owner.substr(slash + 1)};
  }

  /// Who wants which claim, and which ones are given up.
  void note_claims(const kube::ObjectKey& key, const kube::Service* after) {
    if (key.kind != Kind::kService) return;
    if (after != nullptr) {
      for (const Key& claim : claims_of(*after)) wanted_[claim] = key;
    }
    const auto before = memory_.records().find(key);
    if (before == memory_.records().end()) return;
    for (const Key& claim : claims_of(std::get<kube::Service>(*before->second.object))) {
      const ClusterView::Claim* held = view_.find_claim(claim);
      if (held != nullptr && held->owner == owner_of(key)) freed_[claim] = key;
    }
  }

  void add_claims(const kube::ObjectKey& key, const kube::Service& service, Piece& piece) {
    for (const Key& claim : claims_of(service)) {
      const ClusterView::Claim* held = view_.find_claim(claim);
      if (held != nullptr && held->owner == owner_of(key)) continue;
      const std::string text = keys_.print(claim);
      if (held != nullptr && !freed_.contains(claim)) {
        // Its Service does not say that it has it: it is gone, or was written by hand. Unless nobody can read it.
        const kube::ObjectKey owner = owner_key(held->owner);
        if (view_.is_unread(owner)) {
          reserve(claim, held->owner);
          continue;
        }
        compare(piece, keys_.print(owner), view_.revision_of(owner));
      }
      compare(piece, text, held == nullptr ? 0 : held->revision);
      piece.txn.puts.push_back({text, owner_of(key)});
    }
  }

  void reserve(const Key& claim, const std::string& owner) {
    if (const auto* ip = std::get_if<ClusterIpKey>(&claim)) memory_.claims().reserve(ip->address, owner);
    if (const auto* port = std::get_if<NodePortKey>(&claim)) memory_.claims().reserve(port->port, owner);
    is_stale_ = true;
  }

  void free_claims() {
    for (const auto& [claim, owner] : freed_) {
      if (wanted_.contains(claim)) continue;
      Piece& piece = pieces_[piece_of_.at(owner)];
      const std::string text = keys_.print(claim);
      compare(piece, text, view_.find_claim(claim)->revision);
      piece.txn.erases.push_back({text});
    }
  }

  /// Pieces of Services that pass claims on become one.
  std::vector<Piece> unite() {
    std::vector<std::size_t> root(pieces_.size());
    std::iota(root.begin(), root.end(), std::size_t{0});
    const auto find = [&root](std::size_t index) {
      while (root[index] != index) index = root[index] = root[root[index]];
      return index;
    };
    for (const auto& [claim, giver] : freed_) {
      const auto taker = wanted_.find(claim);
      if (taker != wanted_.end()) root[find(piece_of_.at(giver))] = find(piece_of_.at(taker->second));
    }
    std::map<std::size_t, Piece> united;
    for (std::size_t i = 0; i < pieces_.size(); ++i) united[find(i)].add(std::move(pieces_[i]));
    std::vector<Piece> all;
    for (auto& [index, piece] : united) all.push_back(std::move(piece));
    std::ranges::stable_sort(all, {}, &Piece::rank);
    return all;
  }

  net::Result<TxnPlan> pack(std::vector<Piece> pieces) const {
    TxnPlan plan;
    plan.is_stale = is_stale_;
    Piece current;
    const auto flush = [&] {
      if (!current.objects.empty()) plan.txns.push_back({std::move(current.txn), std::move(current.objects)});
      current = Piece();
    };
    for (Piece& piece : pieces) {
      if (piece.operations() > etcd::kTxnOperations || piece.bytes() > etcd::kRequestBytes) {
        return net::invalid_argument(fmt::format(
            "{}: {} keys of {} bytes with its addresses and node ports; allowed: {} keys of {} bytes in one of etcd's "
            "transactions",
            kube::to_string(piece.objects.front()), piece.operations(), piece.bytes(), etcd::kTxnOperations,
            etcd::kRequestBytes));
      }
      if (!current.fits_with(piece)) flush();
      current.add(std::move(piece));
    }
    flush();
    return plan;
  }

  const ObjectEdit& edit_;
  ObjectMemory& memory_;
  const ClusterView& view_;
  const Keys& keys_;
  std::vector<Piece> pieces_;
  std::map<kube::ObjectKey, std::size_t> piece_of_;
  std::map<Key, kube::ObjectKey> wanted_, freed_;
  bool is_stale_ = false;
};

}  // namespace

std::vector<Key> claims_of(const kube::Service& service) {
  std::vector<Key> claims;
  for (const net::IpAddress& address : service.cluster_ips) claims.emplace_back(ClusterIpKey{address});
  for (const kube::ServicePort& port : service.ports) {
    if (port.node_port != 0) claims.emplace_back(NodePortKey{port.node_port});
  }
  if (service.health_check_node_port != 0) claims.emplace_back(NodePortKey{service.health_check_node_port});
  std::ranges::sort(claims);
  claims.erase(std::ranges::unique(claims).begin(), claims.end());
  return claims;
}

net::Result<TxnPlan> plan_txns(const ObjectEdit& edit, ObjectMemory& memory, const ClusterView& view,
                               const Keys& keys) {
  return Planner(edit, memory, view, keys).plan();
}

}  // namespace millrace::control::agent::cluster
