/// Services of an ApplyRequest: checked field by field and built, those alone that are not in force as they are.
///
/// Shape:   a service in force is kept with the bytes it came in; the same bytes again are the same service, so a
///          request that names ten thousand and changes one builds one.
/// Errors:  kInvalidArgument names the field ("upsert_services[3].frontends[0].port") and what is allowed;
///          kResourceExhausted the limit. Whether two services collide is asked of all of them: build_services().
/// Thread:  pure functions, any thread. Building Maglev tables takes up to milliseconds a service: hold no lock.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "nat/service_spec.h"
#include "nat/service_table.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct LiveService {
  std::string wire;  // api::Service
  std::shared_ptr<const nat::Service> service;
};
using LiveServices = std::map<std::string, std::shared_ptr<const LiveService>>;

struct ServiceChange {
  std::vector<std::pair<std::string, std::shared_ptr<const LiveService>>> upserts;  // [i] is upsert_services[i]
  std::vector<std::string> removals;

  bool empty() const noexcept { return upserts.empty() && removals.empty(); }
};

/// `before`: what is in force, to know what stays as it is.
net::Result<ServiceChange> parse_services(const api::ApplyRequest& request, const LiveServices& before);

/// The table of `services`. A collision is blamed on a service of `change` when one has part in it.
net::Result<std::shared_ptr<const nat::ServiceTable>> build_services(const LiveServices& services,
                                                                     const ServiceChange& change);

}  // namespace millrace::control::switchd
