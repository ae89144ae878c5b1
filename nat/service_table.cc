#include "nat/service_table.h"

#include <algorithm>
#include <utility>

#include "nat/maglev.h"
#include "nat/service.h"

namespace millrace::nat {
namespace {

using Services = std::vector<std::shared_ptr<const Service>>;

net::Error over_limit(const std::string& what, std::size_t count, std::size_t limit) {
  return net::resource_exhausted(what + ": " + std::to_string(count) + " of all services are more than the limit of " +
                                 std::to_string(limit));
}

/// How many frontends of each family, after the limits.
struct Counts {
  std::size_t v4_frontends = 0;
  std::size_t v6_frontends = 0;
  std::size_t backends = 0;
};

net::Result<Counts> count(const Services& services) {
  if (services.size() > kMaxServices) return over_limit("services", services.size(), kMaxServices);
  Counts counts;
  for (const auto& service : services) {
    for (const Service::Key& key : service->keys()) {
      ++(key.address.is_v4() ? counts.v4_frontends : counts.v6_frontends);
    }
    counts.backends += service->backend_count();
  }
  const std::size_t frontends = counts.v4_frontends + counts.v6_frontends;
  if (frontends > kMaxFrontends) return over_limit("frontends", frontends, kMaxFrontends);
  if (counts.backends > kMaxBackends) return over_limit("backends", counts.backends, kMaxBackends);
  return counts;
}

/// Names are unique; so are their numbers, by which AffinityTable tells services apart.
net::Result<void> check_names(const Services& services) {
  std::vector<std::pair<std::uint64_t, const Service*>> by_id;
  by_id.reserve(services.size());
  for (const auto& service : services) by_id.emplace_back(service->affinity_id(), service.get());
  std::sort(by_id.begin(), by_id.end());
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  const auto twice = std::adjacent_find(by_id.begin(), by_id.end(), same);
  if (twice == by_id.end()) return {};
  return net::invalid_argument("services " + twice[0].second->name() + " and " + twice[1].second->name() +
                               " have one name, or names of one hash");
}

}  // namespace

net::Result<std::shared_ptr<const Service>> build_service(const ServiceSpec& spec) {
  const auto checked = check(spec);
  if (!checked) return checked.error();
  return std::shared_ptr<const Service>(std::make_shared<Service>(spec));
}

const std::string& name_of(const Service& service) noexcept { return service.name(); }
std::uint32_t ServiceTable::affinity_seconds(const Service& service) noexcept { return service.affinity_seconds(); }
std::uint64_t ServiceTable::affinity_id(const Service& service) noexcept { return service.affinity_id(); }

ServiceTable::ServiceTable(Services services, std::size_t v4_frontends, std::size_t v6_frontends,
                           std::size_t backend_count)
    : v4_(v4_frontends),
      v6_(v6_frontends),
      services_(std::move(services)),
      frontend_count_(v4_frontends + v6_frontends),
      backend_count_(backend_count) {}
ServiceTable::~ServiceTable() = default;

net::Result<std::shared_ptr<const ServiceTable>> ServiceTable::build(Services services) {
  const auto counts = count(services);
  if (!counts) return counts.error();
  const auto names = check_names(services);
  if (!names) return names.error();
  std::shared_ptr<ServiceTable> table(
      new ServiceTable(std::move(services), counts->v4_frontends, counts->v6_frontends, counts->backends));
  for (const auto& service : table->services_) {
    const auto inserted = table->insert(*service);
    if (!inserted) return inserted.error();
  }
  return std::shared_ptr<const ServiceTable>(std::move(table));
}

net::Result<void> ServiceTable::insert(const Service& service) {
  for (std::size_t i = 0; i < service.keys().size(); ++i) {
    const Service::Key& key = service.keys()[i];
    const Frontend* frontend = &service.frontends()[i];
    const Frontend* before = key.address.is_v4() ? v4_.insert(key.address.v4(), key.protocol, key.port, frontend)
                                                 : v6_.insert(key.address.v6(), key.protocol, key.port, frontend);
    if (before == nullptr) continue;
    return net::invalid_argument("service " + service.name() + ": frontends[" + std::to_string(i) +
                                 "]: " + frontend_text(key.address, key.protocol, key.port) +
                                 " is a frontend of service " + before->service->name() + " already");
  }
  return {};
}

template <>
const FrontendTable<net::Ipv4>& ServiceTable::table<net::Ipv4>() const noexcept {
  return v4_;
}
template <>
const FrontendTable<net::Ipv6>& ServiceTable::table<net::Ipv6>() const noexcept {
  return v6_;
}

namespace {

/// Precondition: the rule balances.
template <typename Address>
const std::uint16_t* entry_of(const Frontend::Rule& rule, const Address& source, std::uint64_t flow_hash) noexcept {
  // Mixed once more: the caller's hash has chosen the worker already, and may be good in its low bits only.
  const std::uint64_t hash = rule.has_affinity ? hash_of(words_of(source), 0) : net::mix64(flow_hash);
  return &rule.table[maglev_index(hash, rule.table_size)];
}

}  // namespace

template <typename Address>
FrontendMatch ServiceTable::choose(const Address& source, const Address& destination, std::uint8_t protocol,
                                   std::uint16_t destination_port, SourceKind from, std::uint64_t flow_hash,
                                   ServiceChoice& choice) const noexcept {
  const FrontendTable<Address>& frontends = table<Address>();
  const Frontend* frontend = frontends.find(destination, protocol, destination_port);
  if (frontend == nullptr) {
    return frontends.has_address(destination) ? FrontendMatch::kNoPort : FrontendMatch::kNone;
  }
  const Frontend::Rule& rule = frontend->rules[static_cast<unsigned>(from)];
  choice = {.service = frontend->service,
            .backend = nullptr,
            .action = rule.action,
            .masquerade = rule.masquerade,
            .has_affinity = rule.has_affinity};
  if (frontend->ranges != nullptr && !frontend->ranges->holds(words_of(source))) {
    choice.action = FrontendAction::kDrop;
    return FrontendMatch::kOutOfRange;
  }
  if (rule.table_size == 0) return FrontendMatch::kFound;
  choice.backend = &rule.backends[*entry_of(rule, source, flow_hash)];
  return FrontendMatch::kFound;
}

template <typename Address>
void ServiceTable::foresee(std::span<const ServiceQuestion<Address>> questions,
                           std::span<const Backend*> backends) const noexcept {
  const FrontendTable<Address>& frontends = table<Address>();
  const Frontend::Rule* rules[kForeseeBurst];
  const std::uint16_t* entries[kForeseeBurst];
  for (const auto& question : questions) {
    frontends.prefetch(question.destination, question.protocol, question.destination_port);
  }
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto& question = questions[i];
    const Frontend* const found = frontends.find(question.destination, question.protocol, question.destination_port);
    rules[i] = found == nullptr ? nullptr : &found->rules[static_cast<unsigned>(question.from)];
    __builtin_prefetch(found);
    __builtin_prefetch(rules[i]);
  }
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const bool balances = rules[i] != nullptr && rules[i]->table_size != 0;
    entries[i] = balances ? entry_of(*rules[i], questions[i].source, questions[i].flow_hash) : nullptr;
    __builtin_prefetch(entries[i]);
  }
  for (std::size_t i = 0; i < questions.size(); ++i) {
    backends[i] = entries[i] == nullptr ? nullptr : &rules[i]->backends[*entries[i]];
    __builtin_prefetch(backends[i]);
  }
}

template <typename Address>
bool ServiceTable::has_backend(const Address& destination, std::uint8_t protocol, std::uint16_t destination_port,
                               SourceKind from, const Address& backend, std::uint16_t backend_port) const noexcept {
  const Frontend* frontend = table<Address>().find(destination, protocol, destination_port);
  if (frontend == nullptr) return false;
  const BackendSet* set = frontend->sets[static_cast<unsigned>(from)];
  return set != nullptr && set->contains(backend, backend_port);
}

const Service* ServiceTable::service_of(const net::IpAddress& address, std::uint8_t protocol,
                                        std::uint16_t port) const noexcept {
  const Frontend* frontend =
      address.is_v4() ? v4_.find(address.v4(), protocol, port) : v6_.find(address.v6(), protocol, port);
  return frontend == nullptr ? nullptr : frontend->service;
}

template FrontendMatch ServiceTable::choose(const net::Ipv4&, const net::Ipv4&, std::uint8_t, std::uint16_t, SourceKind,
                                            std::uint64_t, ServiceChoice&) const noexcept;
template FrontendMatch ServiceTable::choose(const net::Ipv6&, const net::Ipv6&, std::uint8_t, std::uint16_t, SourceKind,
                                            std::uint64_t, ServiceChoice&) const noexcept;
template void ServiceTable::foresee(std::span<const ServiceQuestion<net::Ipv4>>,
                                    std::span<const Backend*>) const noexcept;
template void ServiceTable::foresee(std::span<const ServiceQuestion<net::Ipv6>>,
                                    std::span<const Backend*>) const noexcept;
template bool ServiceTable::has_backend(const net::Ipv4&, std::uint8_t, std::uint16_t, SourceKind, const net::Ipv4&,
                                        std::uint16_t) const noexcept;
template bool ServiceTable::has_backend(const net::Ipv6&, std::uint8_t, std::uint16_t, SourceKind, const net::Ipv6&,
                                        std::uint16_t) const noexcept;

}  // namespace millrace::nat
