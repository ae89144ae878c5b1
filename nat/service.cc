#include "nat/service.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace millrace::nat {
namespace {

/// FNV-1a, then mixed: the same for a name in every table and every process.
std::uint64_t hash_name(std::string_view name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return net::mix64(hash);
}

}  // namespace

Service::Service(const ServiceSpec& checked_spec)
    : name_(checked_spec.name),
      affinity_seconds_(checked_spec.affinity_seconds),
      affinity_id_(hash_name(checked_spec.name)) {
  std::vector<const BackendSet*> sets;
  for (const std::vector<Backend>& backends : checked_spec.backend_sets) sets.push_back(set_of(backends));
  keys_.reserve(checked_spec.frontends.size());
  frontends_.reserve(checked_spec.frontends.size());
  for (const FrontendSpec& frontend : checked_spec.frontends) {
    keys_.push_back({frontend.address, frontend.protocol, frontend.port});
    frontends_.push_back(frontend_of(frontend, sets));
  }
}

/// The set of these backends, made if there is none yet; nullptr for no backends.
const BackendSet* Service::set_of(const std::vector<Backend>& backends) {
  if (backends.empty()) return nullptr;
  std::vector<Backend> sorted = backends;
  std::sort(sorted.begin(), sorted.end());
  for (const auto& set : sets_) {
    if (set->backends() == sorted) return set.get();
  }
  backend_count_ += sorted.size();
  sets_.push_back(std::make_unique<const BackendSet>(std::move(sorted)));
  return sets_.back().get();
}

Frontend Service::frontend_of(const FrontendSpec& spec, std::span<const BackendSet* const> sets) {
  Frontend frontend;
  frontend.service = this;
  if (!spec.source_ranges.empty()) {
    ranges_.push_back(std::make_unique<const SourceRanges>(spec.source_ranges, spec.address.family));
    frontend.ranges = ranges_.back().get();
  }
  for (unsigned kind = 0; kind < kSourceKinds; ++kind) {
    const FrontendRule& rule = spec.rules[kind];
    Frontend::Rule& compiled = frontend.rules[kind];
    const BackendSet* set = rule.action == FrontendAction::kBalance ? sets[rule.backend_set] : nullptr;
    if (set == nullptr) {
      compiled.action = rule.action == FrontendAction::kDrop ? FrontendAction::kDrop : FrontendAction::kReject;
      continue;
    }
    compiled = {.table = set->table().data(),
                .backends = set->backends().data(),
                .table_size = static_cast<std::uint32_t>(set->table().size()),
                .action = FrontendAction::kBalance,
                .masquerade = rule.masquerade,
                .has_affinity = affinity_seconds_ != 0};
    frontend.sets[kind] = set;
  }
  return frontend;
}

std::size_t Service::memory_bytes() const noexcept {
  std::size_t bytes = sizeof *this + name_.capacity() + keys_.capacity() * sizeof(Key) +
                      frontends_.capacity() * sizeof(Frontend) +
                      (sets_.capacity() + ranges_.capacity()) * sizeof(void*) + ranges_.size() * sizeof(SourceRanges);
  for (const auto& set : sets_) bytes += set->memory_bytes();
  return bytes;
}

}  // namespace millrace::nat
