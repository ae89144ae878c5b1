/// One call of the plugin, read and checked: all that can be refused without asking anyone.
///
/// Errors:  a Refusal: the error, and the cniVersion its rendering must carry.
/// Thread:  pure functions over what they are given, any thread.
#pragma once

#include <string>
#include <string_view>

#include "cni-shim/cni_args.h"
#include "cni-shim/cni_error.h"
#include "cni-shim/environment.h"
#include "cni-shim/network_config.h"

namespace millrace::cni_shim {

struct Request {
  Environment environment;
  std::string cni_version;  // as it came in; the newest we know when VERSION came with none
  NetworkConfig config;     // not set for VERSION
  CniArgs args;             // ADD only
};

struct Refusal {
  CniError error;
  std::string cni_version;
};

net::Result<Request, Refusal> parse_request(const VariableLookup& lookup, std::string_view stdin_text);

}  // namespace millrace::cni_shim
