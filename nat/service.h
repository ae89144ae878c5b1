/// Service: a checked service as workers read it.
///
/// Shape:   a frontend of two cache lines, which holds all of its rules resolved: action, table and backends. Of those
///          two, a choice for a pod or the node reads the first.
///          So a new flow reads four lines one after the other: the bucket of the frontend's key
///          (nat/service_table.h), the frontend, the entry of the Maglev table, the backend.
///          Backend sets of a service that hold the same backends are one.
/// Thread:  built by control; then immutable and shared by tables before and after a change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nat/backend_set.h"
#include "nat/service_spec.h"
#include "nat/source_ranges.h"

namespace millrace::nat {

class Service;

struct alignas(64) Frontend {
  struct Rule {
    const std::uint16_t* table = nullptr;  // of `set`: here to spare a line
    const Backend* backends = nullptr;     // of `set`
    std::uint32_t table_size = 0;          // 0: no balancing
    FrontendAction action = FrontendAction::kReject;
    bool masquerade = false;
    bool has_affinity = false;
  };

  const Service* service = nullptr;
  const SourceRanges* ranges = nullptr;  // nullptr: all
  Rule rules[kSourceKinds];
  const BackendSet* sets[kSourceKinds] = {};  // nullptr: no balancing
};
static_assert(sizeof(Frontend) == 128);
static_assert(offsetof(Frontend, rules[2]) == 64);

class Service {
 public:
  explicit Service(const ServiceSpec& checked_spec);
  Service(const Service&) = delete;  // frontends point into it
  Service& operator=(const Service&) = delete;

  const std::string& name() const noexcept { return name_; }
  std::uint32_t affinity_seconds() const noexcept { return affinity_seconds_; }
  std::uint64_t affinity_id() const noexcept { return affinity_id_; }

  /// What a frontend is found by, in the order of frontends().
  struct Key {
    net::IpAddress address;
    std::uint8_t protocol;
    std::uint16_t port;
  };
  std::span<const Key> keys() const noexcept { return keys_; }
  std::span<const Frontend> frontends() const noexcept { return frontends_; }
  /// Distinct and not empty.
  std::span<const std::unique_ptr<const BackendSet>> sets() const noexcept { return sets_; }
  /// Of all sets().
  std::size_t backend_count() const noexcept { return backend_count_; }
  std::size_t memory_bytes() const noexcept;

 private:
  const BackendSet* set_of(const std::vector<Backend>& backends);
  Frontend frontend_of(const FrontendSpec& spec, std::span<const BackendSet* const> sets);

  std::string name_;
  std::uint32_t affinity_seconds_ = 0;
  std::uint64_t affinity_id_ = 0;
  std::size_t backend_count_ = 0;
  std::vector<Key> keys_;
  std::vector<Frontend> frontends_;
  std::vector<std::unique_ptr<const BackendSet>> sets_;
  std::vector<std::unique_ptr<const SourceRanges>> ranges_;
};

}  // namespace millrace::nat
