#include "control/agent/cluster/cluster_link.h"

#include <spdlog/spdlog.h>

namespace millrace::control::agent::cluster {

ClusterLink::ClusterLink(Options options, std::unique_ptr<etcd::Client> client)
    : keys_(options.prefix),
      cache_file_(std::move(options.cache_file)),
      client_(std::move(client)),
      mirror_(std::make_unique<etcd::Mirror>(
          *client_, keys_.prefix(), [this](const etcd::Batch& batch) { deliver(batch); }, options.times)) {}

net::Result<std::unique_ptr<ClusterLink>> ClusterLink::open(Options options) {
  auto client = etcd::Client::open(options.etcd);
  if (!client) return client.error();
  return std::unique_ptr<ClusterLink>(new ClusterLink(std::move(options), *std::move(client)));
}

void ClusterLink::subscribe(Listener listener) {
  const std::lock_guard guard(delivery_mutex_);
  if (is_known_) {
    etcd::Batch known{mirror_->status().revision, {}, true};
    for (etcd::KeyValue& item : mirror_->list(keys_.prefix())) {
      const std::string key = item.key;
      known.changes.push_back({key, std::nullopt, std::move(item)});
    }
    listener(known);
  }
  listeners_.push_back(std::move(listener));
}

void ClusterLink::start() {
  cache_ = MirrorCache::open(cache_file_, keys_.prefix());
  MirrorCache::State state = cache_->load();
  if (state.revision != 0) {
    etcd::Batch known{state.revision, {}, true};
    for (const etcd::KeyValue& item : state.items) known.changes.push_back({item.key, std::nullopt, item});
    mirror_->seed(std::move(state.items), state.revision);
    const std::lock_guard guard(delivery_mutex_);
    for (const Listener& listener : listeners_) listener(known);
    is_known_ = true;
  }
  mirror_->start();
}

void ClusterLink::stop() { mirror_->stop(); }

void ClusterLink::deliver(const etcd::Batch& batch) {
  const std::lock_guard guard(delivery_mutex_);
  if (batch.is_first == !is_known_) {
    for (const Listener& listener : listeners_) listener(batch);
  } else {
    // Etcd's first word after the cache's is what changed since.
    const etcd::Batch difference{batch.revision, batch.changes, !is_known_};
    for (const Listener& listener : listeners_) listener(difference);
  }
  is_known_ = true;
  cache_->write(batch);
}

bool ClusterLink::wait_until_current(std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  auto now = client_->range(keys_.prefix(), 0, 1);
  if (!now) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  return mirror_->wait_for_revision(now->revision, std::max(left, std::chrono::milliseconds(0)));
}

}  // namespace millrace::control::agent::cluster
