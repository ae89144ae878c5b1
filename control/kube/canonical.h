/// The one form of an object's JSON: see manifest.h.
///
/// Thread:  pure function.
#pragma once

#include <nlohmann/json.hpp>

#include "control/kube/object.h"

namespace millrace::control::kube {

/// `json` is the document that `object` was read from.
nlohmann::json canonical(const Object& object, nlohmann::json json);

}  // namespace millrace::control::kube
