/// Endpoints: whose address it is.
///
/// Shape:   a pod claims its addresses with its identity. An address that two label sets claim is that of the pod that
///          is attached here; if both or none is, it has no identity: nobody can tell, and a selector must not let the
///          wrong one in. Blocks match it still.
/// Thread:  one.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "control/agent/policies/identities.h"
#include "control/api/switch.pb.h"
#include "control/kube/metadata.h"
#include "net/address.h"

namespace millrace::control::agent::policies {

class Endpoints {
 public:
  struct Claim {
    Identity identity = kNoIdentity;
    bool is_local = false;
    friend bool operator==(const Claim&, const Claim&) = default;
  };

  void claim(const net::IpAddress& address, const kube::ObjectKey& pod, Claim claim);
  void give_up(const net::IpAddress& address, const kube::ObjectKey& pod);
  Identity identity_of(const net::IpAddress& address) const;

  /// Those whose identity is another since the last call, with what it was and what it is.
  struct Change {
    net::IpAddress address;
    Identity before = kNoIdentity, after = kNoIdentity;
  };
  std::vector<Change> take_changes();
  static void write(const std::vector<Change>& changes, api::ApplyRequest& request);

  /// Addresses with an identity, as of the last take_changes().
  const std::map<net::IpAddress, Identity>& all() const { return taken_; }

 private:
  std::map<net::IpAddress, std::map<kube::ObjectKey, Claim>> claims_;
  std::map<net::IpAddress, Identity> taken_;
  std::set<net::IpAddress> touched_;
};

}  // namespace millrace::control::agent::policies
