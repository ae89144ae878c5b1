#include "control/agent/cluster/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <random>

namespace millrace::control::agent::cluster {
namespace {

std::uint32_t random_word() {
  static thread_local std::random_device device;
  return device();
}

std::string random_instance() {
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random_word(), random_word(), random_word(), random_word());
}

std::string random_mac() {
  constexpr std::uint8_t kLocal = 0x02, kGroup = 0x01;
  const std::uint32_t low = random_word(), high = random_word();
  net::Mac mac;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    mac.bytes[i] = static_cast<std::uint8_t>((i < 4 ? low >> (8 * i) : high >> (8 * (i - 4))) & 0xff);
  }
  mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] | kLocal) & ~kGroup);
  return mac.to_string();
}

net::Result<std::string> kept_or_made(Store& store, const std::string& key, const std::function<std::string()>& make) {
  auto kept = store.meta(key);
  if (!kept) return kept.error();
  if (*kept) return **kept;
  const std::string made = make();
  if (auto set = store.set_meta(key, made); !set) return set.error();
  return made;
}

}  // namespace

net::Result<Identity> begin_epoch(Store& store) {
  Identity identity;
  auto instance = kept_or_made(store, "cluster.instance", random_instance);
  if (!instance) return instance.error();
  identity.instance = *instance;
  auto mac = kept_or_made(store, "cluster.vtep_mac", random_mac);
  if (!mac) return mac.error();
  const auto parsed = net::Mac::parse(*mac);
  if (!parsed) return net::failed_precondition("database: cluster.vtep_mac is " + *mac);
  identity.vtep_mac = *parsed;
  auto last = store.meta("cluster.epoch");
  if (!last) return last.error();
  std::uint64_t before = 0;
  if (*last) std::from_chars((*last)->data(), (*last)->data() + (*last)->size(), before);
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  identity.epoch = std::max(before + 1, static_cast<std::uint64_t>(now.count()));
  if (auto set = store.set_meta("cluster.epoch", std::to_string(identity.epoch)); !set) return set.error();
  return identity;
}

}  // namespace millrace::control::agent::cluster
