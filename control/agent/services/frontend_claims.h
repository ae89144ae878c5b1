/// Which service an address, protocol and port belongs to when several want it: the switch takes it for one alone, and
/// one bad manifest must not keep back the others.
///
/// Shape:   the one whose ClusterIP it is comes first, so that nobody takes a ClusterIP by an external IP; then the
///          first by name. The others are served by the rest of their addresses.
/// Thread:  one.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "control/api/switch.pb.h"

namespace millrace::control::agent::services {

class FrontendClaims {
 public:
  /// What `service` wants is all of its frontends. Adds to `touched` the names of other services that want one of them.
  /// `own`: bytes of the addresses that are the service's ClusterIPs.
  void place(const api::Service& service, const std::set<std::string>& own, std::set<std::string>& touched);
  /// Takes back what place() of the same service said.
  void withdraw(const api::Service& service, std::set<std::string>& touched);
  /// Name of the service that has it.
  const std::string& owner(const api::Frontend& frontend) const;

 private:
  struct Key {
    std::string address;
    std::uint32_t protocol = 0;
    std::uint32_t port = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Claim = std::pair<bool, std::string>;  // false: by ClusterIP, which sorts first; name of the service
  static Key key_of(const api::Frontend& frontend) {
    return {frontend.address(), frontend.protocol(), frontend.port()};
  }

  std::map<Key, std::set<Claim>> claims_;
};

}  // namespace millrace::control::agent::services
