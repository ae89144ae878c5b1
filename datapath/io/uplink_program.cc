#include "datapath/io/uplink_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <uplink.skel.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "datapath/io/bpf_log.h"
#include "datapath/io/xdp/uplink_maps.h"
#include "nat/fragment_table.h"
#include "nat/service_spec.h"

namespace millrace::datapath::io {
namespace {

static_assert(kUplinkFrontends == nat::kMaxFrontends);
static_assert(kUplinkFragments == nat::kFragmentTableSize);
static_assert(sizeof(uplink_settings) == 72 && sizeof(uplink_frontend) == 20 && sizeof(uplink_fragment) == 40);
static_assert(sizeof(uplink_prefix) == 24 && offsetof(uplink_prefix, family) == 4);  // bits, then the key

net::Error kernel_error(const char* what, int error) {
  const net::ErrorCode code = error == EPERM || error == EACCES   ? net::ErrorCode::kPermissionDenied
                              : error == E2BIG || error == ENOMEM ? net::ErrorCode::kResourceExhausted
                                                                  : net::ErrorCode::kFailedPrecondition;
  return {code, fmt::format("{}: {}", what, std::strerror(error))};
}

uplink_frontend to_key(const UplinkFrontend& frontend) {
  uplink_frontend key{};
  std::ranges::copy(frontend.address.raw(), key.address);
  const net::Be16 port(frontend.port);
  std::memcpy(&key.port, &port, sizeof key.port);
  key.protocol = frontend.protocol;
  key.family = frontend.address.family;
  return key;
}

uplink_prefix to_key(const net::Prefix& prefix) {
  uplink_prefix key{};
  key.bits = kUplinkFamilyBits + prefix.length_bits;
  key.family = prefix.address.family;
  std::ranges::copy(prefix.address.raw(), key.address);
  return key;
}

}  // namespace

net::Result<std::unique_ptr<UplinkProgram>> UplinkProgram::load() {
  redirect_bpf_log();
  std::shared_ptr<uplink_bpf> skeleton(uplink_bpf__open(), uplink_bpf__destroy);
  if (skeleton == nullptr) return kernel_error("the uplink's XDP program does not open", errno);
  if (const int status = uplink_bpf__load(skeleton.get()); status != 0) {
    return kernel_error("the kernel does not take the uplink's XDP program", -status);
  }
  auto program = XdpProgram::of(skeleton, bpf_program__fd(skeleton->progs.millrace_uplink),
                                bpf_map__fd(skeleton->maps.sockets), kUplinkSlots, kUplinkQueues);
  return std::unique_ptr<UplinkProgram>(new UplinkProgram(std::move(skeleton), std::move(program)));
}

net::Result<void> UplinkProgram::write_settings() {
  uplink_settings value{};
  const std::uint32_t slot = 0;
  std::ranges::copy(net::IpAddress::from(settings_.masquerade_v4).raw(), value.masquerade_v4);
  std::ranges::copy(net::IpAddress::from(settings_.masquerade_v6).raw(), value.masquerade_v6);
  std::ranges::copy(net::IpAddress::from(settings_.vtep_v4).raw(), value.vtep_v4);
  std::ranges::copy(net::IpAddress::from(settings_.vtep_v6).raw(), value.vtep_v6);
  // A range without a port: the last lies before the first.
  const nat::PortRange& ports = settings_.ports;
  value.first_port = ports.count == 0 ? 1 : ports.first;
  value.last_port = ports.count == 0 ? 0 : static_cast<std::uint16_t>(ports.first + ports.count - 1);
  value.vtep_port = settings_.vtep_port;
  value.has_prefixes = prefixes_.empty() ? 0 : 1;
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.settings), &slot, &value, BPF_ANY) == 0) return {};
  return kernel_error("settings of the uplink", errno);
}

net::Result<void> UplinkProgram::add_prefixes(const std::vector<net::Prefix>& prefixes) {
  const std::uint8_t present = 1;
  for (const net::Prefix& prefix : prefixes) {
    if (prefixes_.contains(prefix)) continue;
    const uplink_prefix key = to_key(prefix);
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.local_prefixes), &key, &present, BPF_ANY) != 0) {
      return kernel_error("local prefixes of the uplink", errno);
    }
    prefixes_.insert(prefix);
  }
  return {};
}

net::Result<void> UplinkProgram::keep_prefixes(const std::vector<net::Prefix>& prefixes) {
  const std::set<net::Prefix> kept(prefixes.begin(), prefixes.end());
  for (auto at = prefixes_.begin(); at != prefixes_.end();) {
    if (kept.contains(*at)) {
      ++at;
      continue;
    }
    const uplink_prefix key = to_key(*at);
    if (bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.local_prefixes), &key) != 0 && errno != ENOENT) {
      return kernel_error("local prefixes of the uplink", errno);
    }
    at = prefixes_.erase(at);
  }
  return {};
}

net::Result<void> UplinkProgram::widen(const UplinkRules& rules) {
  if (auto added = add_prefixes(rules.local_prefixes); !added) return added;
  if (!rules.masquerade_v4.is_unspecified()) settings_.masquerade_v4 = rules.masquerade_v4;
  if (!rules.masquerade_v6.is_unspecified()) settings_.masquerade_v6 = rules.masquerade_v6;
  if (rules.ports.count != 0) settings_.ports = rules.ports;
  if (!rules.vtep_v4.is_unspecified()) settings_.vtep_v4 = rules.vtep_v4;
  if (!rules.vtep_v6.is_unspecified()) settings_.vtep_v6 = rules.vtep_v6;
  if (rules.vtep_port != 0) settings_.vtep_port = rules.vtep_port;
  if (auto written = write_settings(); !written) return written;
  const std::uint8_t present = 1;
  for (const UplinkFrontend& frontend : rules.frontends) {
    if (frontends_.contains(frontend)) continue;
    const uplink_frontend key = to_key(frontend);
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.frontends), &key, &present, BPF_ANY) != 0) {
      return kernel_error("frontends of the uplink", errno);
    }
    frontends_.insert(frontend);
  }
  return {};
}

net::Result<void> UplinkProgram::narrow(const UplinkRules& rules) {
  if (auto kept = keep_prefixes(rules.local_prefixes); !kept) return kept;
  settings_ = rules;
  settings_.frontends.clear();
  settings_.local_prefixes.clear();
  if (auto written = write_settings(); !written) return written;
  const std::set<UplinkFrontend> kept(rules.frontends.begin(), rules.frontends.end());
  for (auto at = frontends_.begin(); at != frontends_.end();) {
    if (kept.contains(*at)) {
      ++at;
      continue;
    }
    const uplink_frontend key = to_key(*at);
    if (bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.frontends), &key) != 0 && errno != ENOENT) {
      return kernel_error("frontends of the uplink", errno);
    }
    at = frontends_.erase(at);
  }
  return {};
}

}  // namespace millrace::datapath::io
