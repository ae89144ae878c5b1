/// Manifests: text a person wrote -> objects, and objects -> the JSON that is stored and shown.
///
/// Shape:   YAML of any number of documents, or JSON; a document is an object, or a list of them (`kind: List`,
///          `kind: ServiceList`). The canonical JSON of an object is what was written, less what is null and what only
///          an API server sets, with the defaults that Kubernetes would fill in; keys are sorted. Reading it again
///          gives the same object and the same JSON.
/// Errors:  kInvalidArgument, all errors of a file, one a line, each "FILE:LINE: PATH: what is wrong; allowed: ...".
///          What is not understood is refused: kinds, versions and fields that Kubernetes does not have or Millrace
///          does not know. Known fields without meaning for the network (images, volumes) are kept and not looked into.
/// Thread:  pure functions.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/kube/object.h"
#include "control/kube/value.h"
#include "net/result.h"

namespace millrace::control::kube {

struct Manifest {
  Object object;
  nlohmann::json json;  // canonical
};

struct ManifestOptions {
  std::string name_space;       // of objects that name none; "" is "default". Others that name another are refused
  bool skip_unrelated = false;  // kinds known to Kubernetes without meaning for the network are left out, not refused
};

struct Manifests {
  std::vector<Manifest> objects;     // in the order of the file; no two of one name
  std::vector<std::string> skipped;  // a sentence for each object that was left out
};

/// `file` is for the messages.
net::Result<Manifests> parse_manifests(const std::string& text, const std::string& file,
                                       const ManifestOptions& options = {});
/// One object as JSON; errors have no file and no line.
net::Result<Manifest> parse_object(const nlohmann::json& json);

/// Writes into `json` what is decided of the object: defaults, and what the agent allocated.
void write_decided(const Service& service, nlohmann::json& json);

/// YAML of canonical JSON, keys sorted, as `kubectl get -o yaml` prints it.
std::string to_yaml(const nlohmann::json& json);

}  // namespace millrace::control::kube
