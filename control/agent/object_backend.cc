#include "control/agent/object_backend.h"

#include <fmt/format.h>

#include "control/kube/manifest.h"

namespace millrace::control::agent {

net::Result<std::unique_ptr<EmbeddedBackend>> EmbeddedBackend::open(Store& store, ObjectMemory& memory) {
  auto stored = store.objects();
  if (!stored) return stored.error();
  ObjectEdit all;
  for (StoredObject& object : *stored) {
    auto read = kube::parse_object(nlohmann::json::parse(object.json, nullptr, false));
    if (!read) {
      return net::failed_precondition(
          fmt::format("database: {}: {}", kube::to_string(object.key), read.error().message));
    }
    all.put[object.key] = {std::make_shared<const kube::Object>(std::move(read->object)), std::move(object.json),
                           object.created_unix_ms};
  }
  const ObjectMemory::Hold hold = memory.hold();
  if (auto taken = memory.take(std::move(all)); !taken) return taken.error();
  return std::unique_ptr<EmbeddedBackend>(new EmbeddedBackend(store, memory));
}

net::Result<void> EmbeddedBackend::change(const Plan& plan) {
  const ObjectMemory::Hold hold = memory_.hold();
  auto edit = plan({});
  if (!edit) return edit.error();
  if (edit->empty()) return {};
  std::vector<StoredObject> put;
  for (const auto& [key, record] : edit->put) put.push_back({key, record.json, record.created_unix_ms});
  if (auto written = store_.change_objects(put, edit->gone); !written) return written;
  return memory_.take(*std::move(edit));
}

}  // namespace millrace::control::agent
