#include "control/etcd/lease.h"

namespace millrace::control::etcd {

class Lease::Keeper {};

Lease::Lease(Client&, std::chrono::seconds, Granted) : keeper_(std::make_unique<Keeper>()) {}
Lease::~Lease() = default;
std::int64_t Lease::id() const { return 0; }
bool Lease::is_alive() const { return false; }

}  // namespace millrace::control::etcd
