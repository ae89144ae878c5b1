/// The "dns" of a configuration and of a result. The plugin sets up no resolver: it hands on what it was told.
///
/// Shape:   result and configuration: nameservers, domain, search, options. The "dns" capability in runtimeConfig calls
///          them servers, searches, options (containerd: "Servers", "Searches", "Options").
/// Source:  CNI specification 1.1.0 "dns"; CNI CONVENTIONS.md "dns".
/// Thread:  plain values, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/cni_error.h"
#include "cni-shim/json.h"

namespace millrace::cni_shim {

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;

  bool empty() const noexcept { return nameservers.empty() && domain.empty() && search.empty() && options.empty(); }
};

/// `field` is the name of `object` for errors. Error: CniCode::kInvalidConfig when a member has the wrong type.
CniResult<Dns> parse_dns(const Json& object, std::string_view field);

/// Every list that the runtime gives replaces that of `dns`.
CniResult<Dns> apply_runtime_dns(Dns dns, const Json& runtime_dns);

Json to_json(const Dns& dns);

}  // namespace millrace::cni_shim
