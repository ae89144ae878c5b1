#include "control/etcd/lease.h"

#include <utility>

#include "control/etcd/keeper.h"

namespace millrace::control::etcd {

Lease::Lease(Client& client, std::chrono::seconds ttl, Granted on_granted)
    : keeper_(std::make_unique<Keeper>(client.session(), ttl, std::move(on_granted))) {}
Lease::~Lease() = default;
std::int64_t Lease::id() const { return keeper_->id(); }
bool Lease::is_alive() const { return keeper_->is_alive(); }
void Lease::let_expire() { keeper_->let_expire(); }

}  // namespace millrace::control::etcd
