/// EndpointSlices and Endpoints that follow from the selectors of Services: seen by who asks for them, stored nowhere.
///
/// Thread:  any.
#pragma once

#include <string>
#include <vector>

#include "control/agent/object_store.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Those of `kind` in `name_space` ("": in all), none that is stored; services/derived_slices.h says which. Of another
/// kind there are none.
std::vector<ObjectRef> derived_objects(const ObjectStore& store, kube::Kind kind, const std::string& name_space);

/// Name of the Service that a derived object is of.
const std::string& service_of_derived(const kube::Object& object);

/// kInvalidArgument for an object that was derived once: stored, it would stay as it is whatever its Service's pods do.
net::Result<void> check_not_derived(const kube::Object& object);

}  // namespace millrace::control::agent
