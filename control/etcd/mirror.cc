#include "control/etcd/mirror.h"

namespace millrace::control::etcd {

class Mirror::Follower {};

Mirror::Mirror(Client&, std::string, OnBatch, MirrorTimes) : follower_(std::make_unique<Follower>()) {}
Mirror::~Mirror() = default;
void Mirror::seed(std::vector<KeyValue>, std::int64_t) {}
void Mirror::start() {}
void Mirror::stop() {}
bool Mirror::wait_for_revision(std::int64_t, std::chrono::milliseconds) { return false; }
Mirror::Status Mirror::status() const { return {}; }
std::optional<KeyValue> Mirror::find(const std::string&) const { return std::nullopt; }
std::vector<KeyValue> Mirror::list(const std::string&) const { return {}; }

}  // namespace millrace::control::etcd
