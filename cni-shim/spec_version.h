/// The versions of the CNI specification this plugin speaks, and what each of them changes.
///
/// Source:  CNI specification 1.1.0, its CHANGELOG, and libcni pkg/types/{020,040,100}.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace millrace::cni_shim {

enum class SpecVersion { k0_3_1, k0_4_0, k1_0_0, k1_1_0 };  // ordered

struct SpecVersionName {
  SpecVersion version;
  std::string_view text;
};

inline constexpr std::array<SpecVersionName, 4> kSpecVersions = {{
    {SpecVersion::k0_3_1, "0.3.1"},
    {SpecVersion::k0_4_0, "0.4.0"},
    {SpecVersion::k1_0_0, "1.0.0"},
    {SpecVersion::k1_1_0, "1.1.0"},
}};
inline constexpr std::string_view kNewestSpecVersion = kSpecVersions.back().text;

constexpr std::optional<SpecVersion> spec_version_of(std::string_view text) noexcept {
  for (const SpecVersionName& known : kSpecVersions) {
    if (known.text == text) return known.version;
  }
  return std::nullopt;
}

constexpr std::string_view text_of(SpecVersion version) noexcept {
  return kSpecVersions[static_cast<std::size_t>(version)].text;
}

constexpr bool has_check(SpecVersion version) noexcept { return version >= SpecVersion::k0_4_0; }
constexpr bool has_gc_and_status(SpecVersion version) noexcept { return version >= SpecVersion::k1_1_0; }
/// Before 1.0.0 each entry of "ips" says its family: "version": "4" or "6".
constexpr bool names_family_of_ips(SpecVersion version) noexcept { return version < SpecVersion::k1_0_0; }
/// 1.1.0 adds "mtu", "socketPath" and "pciID" to an interface.
constexpr bool has_interface_mtu(SpecVersion version) noexcept { return version >= SpecVersion::k1_1_0; }
/// 1.1.0 adds "mtu", "advmss", "priority", "table" and "scope" to a route.
constexpr bool has_route_metrics(SpecVersion version) noexcept { return version >= SpecVersion::k1_1_0; }

}  // namespace millrace::cni_shim
