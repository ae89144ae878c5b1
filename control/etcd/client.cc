#include "control/etcd/client.h"

namespace millrace::control::etcd {

class Session {};

namespace {
net::Error nothing_answers() { return net::unavailable("no endpoint of etcd answers"); }
}  // namespace

Client::Client(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Client::~Client() = default;
net::Result<std::unique_ptr<Client>> Client::open(Options options) {
  if (options.endpoints.empty()) return net::invalid_argument("etcd.endpoints is empty");
  return std::unique_ptr<Client>(new Client(std::make_unique<Session>()));
}
net::Result<RangeResult> Client::range(const std::string&, std::int64_t, std::int64_t, const std::string&) {
  return nothing_answers();
}
net::Result<std::optional<KeyValue>> Client::get(const std::string&) { return nothing_answers(); }
net::Result<TxnResult> Client::txn(const Txn&) { return nothing_answers(); }
net::Result<std::int64_t> Client::put(const Put&) { return nothing_answers(); }
net::Result<std::int64_t> Client::erase_prefix(const std::string&) { return nothing_answers(); }

}  // namespace millrace::control::etcd
