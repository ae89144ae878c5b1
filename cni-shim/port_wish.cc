#include "cni-shim/port_wish.h"

#include <charconv>
#include <string>

#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

struct FieldNames {
  PortWishField field;
  std::string_view annotation;
  std::string_view args;
};
constexpr FieldNames kNames[] = {
    {PortWishField::kType, "millrace.io/port-type", "MILLRACE_PORT_TYPE"},
    {PortWishField::kListener, "millrace.io/vhost-listener", "MILLRACE_VHOST_LISTENER"},
    {PortWishField::kQueues, "millrace.io/vhost-queues", "MILLRACE_VHOST_QUEUES"},
};

bool set_type(std::string_view value, PortWish& wish) {
  if (value != "kernel" && value != "vhost-user") return false;
  wish.type = value == "kernel" ? PortType::kKernel : PortType::kVhostUser;
  return true;
}

bool set_listener(std::string_view value, PortWish& wish) {
  if (value != "switch" && value != "pod") return false;
  wish.pod_listens = value == "pod";
  return true;
}

bool set_queues(std::string_view value, PortWish& wish) {
  std::uint32_t pairs = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), pairs);
  if (failure != std::errc() || end != value.data() + value.size()) return false;
  if (pairs < 1 || pairs > kMaxVhostQueuePairs) return false;
  wish.queue_pairs = pairs;
  return true;
}

}  // namespace

std::optional<PortWishField> port_wish_of_annotation(std::string_view name) {
  for (const FieldNames& names : kNames) {
    if (names.annotation == name) return names.field;
  }
  return std::nullopt;
}

std::optional<PortWishField> port_wish_of_args(std::string_view key) {
  for (const FieldNames& names : kNames) {
    if (names.args == key) return names.field;
  }
  return std::nullopt;
}

std::optional<CniError> set_port_wish(PortWishField field, std::string_view name, std::string_view value, CniCode code,
                                      PortWish& wish) {
  bool is_set = false;
  std::string allowed;
  switch (field) {
    case PortWishField::kType:
      is_set = set_type(value, wish);
      allowed = "kernel vhost-user";
      break;
    case PortWishField::kListener:
      is_set = set_listener(value, wish);
      allowed = "switch pod";
      break;
    case PortWishField::kQueues:
      is_set = set_queues(value, wish);
      allowed = "1.." + std::to_string(kMaxVhostQueuePairs);
      break;
  }
  if (is_set) return std::nullopt;
  return CniError{code, std::string(name) + " is " + shown(value) + "; allowed: " + allowed, ""};
}

}  // namespace millrace::cni_shim
