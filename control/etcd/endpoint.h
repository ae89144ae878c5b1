/// Where a member of the cluster answers clients: "http://HOST:PORT" or "https://HOST:PORT".
///
/// Shape:   HOST is a name, an IPv4 address or an IPv6 address in brackets; PORT is 1..65535 and always said. One "/"
///          may follow, as etcd itself advertises some.
#pragma once

#include <string>
#include <string_view>

#include "net/result.h"

namespace millrace::control::etcd {

struct Endpoint {
  std::string url;     // as given, for people
  std::string target;  // for gRPC: "dns:///HOST:PORT"; an address needs no name server
  bool is_tls = false;
};

net::Result<Endpoint> parse_endpoint(std::string_view url);

}  // namespace millrace::control::etcd
