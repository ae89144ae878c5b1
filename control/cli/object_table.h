/// Tables of Kubernetes objects, with kubectl's columns.
///
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/kube/object.h"

namespace millrace::control::cli {

struct ObjectRow {
  kube::Object object;
  std::uint64_t age_ms = 0;  // 0: unknown
};

/// The row of an object as the agent shows it. Error: what the agent says is no object this program knows.
net::Result<ObjectRow> object_row(const nlohmann::json& json, std::uint64_t now_unix_ms);
/// Rows of one kind. `with_namespace`: the first column; `wide`: more at the end.
std::string object_table(kube::Kind kind, const std::vector<ObjectRow>& rows, bool with_namespace, bool wide);

}  // namespace millrace::control::cli
