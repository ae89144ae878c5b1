#include "control/etcd/mirror.h"

#include <utility>

#include "control/etcd/follower.h"

namespace millrace::control::etcd {

Mirror::Mirror(Client& client, std::string prefix, OnBatch on_batch, MirrorTimes times)
    : follower_(std::make_unique<Follower>(client.session(), std::move(prefix), std::move(on_batch), times)) {}
Mirror::~Mirror() = default;
void Mirror::seed(std::vector<KeyValue> items, std::int64_t revision) { follower_->seed(std::move(items), revision); }
void Mirror::start() { follower_->start(); }
void Mirror::stop() { follower_->stop(); }
bool Mirror::wait_for_revision(std::int64_t revision, std::chrono::milliseconds timeout) {
  return follower_->wait_for_revision(revision, timeout);
}
Mirror::Status Mirror::status() const { return follower_->status(); }
std::optional<KeyValue> Mirror::find(const std::string& key) const { return follower_->find(key); }
std::vector<KeyValue> Mirror::list(const std::string& prefix) const { return follower_->list(prefix); }

}  // namespace millrace::control::etcd
