#include "control/agent/cluster/cluster_objects.h"

#include <spdlog/spdlog.h>

namespace millrace::control::agent::cluster {

net::Result<std::unique_ptr<ClusterObjects>> ClusterObjects::open(ClusterLink& link, Store& store, ServiceRanges ranges,
                                                                  kube::Node self) {
  auto stored = store.objects();
  if (!stored) return stored.error();
  if (!stored->empty()) {
    spdlog::warn(
        "store: etcd: {} objects of the embedded store are not looked at; apply them again to have them in "
        "the cluster",
        stored->size());
  }
  std::unique_ptr<ClusterObjects> made(new ClusterObjects());
  const std::string node = self.meta.name;
  auto memory = std::make_unique<ObjectMemory>(std::move(self));
  made->view_ = std::make_unique<ClusterView>(*memory, link.keys());
  made->publisher_ = std::make_unique<AttachmentPublisher>(link, link.keys(), node);
  memory->on_attachments([publisher = made->publisher_.get()](const auto& all) { publisher->set(all); });
  auto backend = std::make_unique<ClusterBackend>(link, *memory, *made->view_, link.keys());
  auto objects = ObjectManager::open(store, std::move(ranges), std::move(memory), std::move(backend));
  if (!objects) return objects.error();
  made->objects_ = *std::move(objects);
  link.subscribe([view = made->view_.get()](const etcd::Batch& batch) { view->on_batch(batch); });
  link.subscribe([publisher = made->publisher_.get()](const etcd::Batch& batch) { publisher->on_batch(batch); });
  return made;
}

}  // namespace millrace::control::agent::cluster
