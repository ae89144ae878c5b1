#include "control/config/mtu.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::control::config {

std::uint32_t encapsulation_bytes(const Config& config, bool over_ipv4) {
  if (config.store == Store::kEmbedded || config.encapsulation == Encapsulation::kNone) return 0;
  return over_ipv4 ? kVxlanOverIpv4Bytes : kVxlanOverIpv6Bytes;
}

net::Result<std::uint32_t> pod_mtu(const Config& config, std::optional<std::uint32_t> uplink_mtu, bool over_ipv4) {
  if (config.store == Store::kEmbedded) return config.mtu != 0 ? config.mtu : kMtuWithoutUplinkBytes;
  const std::uint32_t outer = std::min(uplink_mtu.value_or(kMtuWithoutUplinkBytes), kMtuLimitBytes);
  const std::uint32_t added = encapsulation_bytes(config, over_ipv4);
  const std::uint32_t limit = outer > added ? outer - added : 0;
  const std::uint32_t mtu = config.mtu != 0 ? config.mtu : limit;
  if (mtu > limit) {
    return net::invalid_argument(
        fmt::format("mtu: {} does not fit: the uplink takes {} and the encapsulation adds {}; allowed: auto, or at "
                    "most {}",
                    mtu, outer, added, limit));
  }
  if (config.ipam.ipv6 && mtu < kIpv6MinimumMtuBytes) {
    return net::invalid_argument(
        fmt::format("mtu: an uplink of {} less {} for the encapsulation leaves {}, too small for IPv6; allowed: an "
                    "uplink of at least {}, or ipam.ipv6.pool none",
                    outer, added, mtu, kIpv6MinimumMtuBytes + added));
  }
  return mtu;
}

std::uint32_t frame_mtu(const Config& config, std::optional<std::uint32_t> uplink_mtu) {
  const std::uint32_t pods = config.mtu != 0 ? config.mtu : kMtuWithoutUplinkBytes;
  if (config.store == Store::kEmbedded) return pods;
  return std::max(pods, std::min(uplink_mtu.value_or(kMtuWithoutUplinkBytes), kMtuLimitBytes));
}

}  // namespace millrace::control::config
