#include "control/agent/cluster/keys.h"

#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace millrace::control::agent::cluster {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._~:-").find(c) != std::string_view::npos;
}

/// Those between the slashes, unescaped; nullopt when one is not what escape() makes.
std::optional<std::vector<std::string>> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t slash = text.find('/');
    auto part = unescape(text.substr(0, slash));
    if (!part) return std::nullopt;
    parts.push_back(*std::move(part));
    if (slash == std::string_view::npos) return parts;
    text.remove_prefix(slash + 1);
  }
}

template <typename T>
std::optional<T> number_of(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Key> claim_of(const std::string& sort, const std::string& what) {
  if (sort == "clusterip") {
    if (auto address = net::IpAddress::parse(what)) return ClusterIpKey{*address};
  } else if (sort == "nodeport") {
    if (auto port = number_of<std::uint16_t>(what); port && *port != 0) return NodePortKey{*port};
  }
  return std::nullopt;
}

std::optional<Key> block_of(std::string text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return std::nullopt;
  text[dash] = '/';
  if (auto prefix = net::Prefix::parse(text)) return BlockKey{*prefix};
  return std::nullopt;
}

std::optional<Key> key_of(const std::vector<std::string>& parts) {
  const std::string& sort = parts[0];
  if (sort == "objects" && parts.size() == 4) {
    const kube::KindNames* kind = kube::find_kind(parts[1]);
    if (kind == nullptr || parts[3].empty() || kind->has_namespace == parts[2].empty()) return std::nullopt;
    return kube::ObjectKey{kind->kind, parts[2], parts[3]};
  }
  if (sort == "claims" && parts.size() == 3) return claim_of(parts[1], parts[2]);
  if (sort == "attachments" && parts.size() == 3 && !parts[1].empty() && !parts[2].empty()) {
    return AttachmentPlace{parts[1], parts[2]};
  }
  if (sort == "nodes" && parts.size() == 2 && !parts[1].empty()) return NodeKey{parts[1]};
  if (sort == "blocks" && parts.size() == 3) return block_of(parts[2]);
  return std::nullopt;
}

struct Printer {
  std::string operator()(const kube::ObjectKey& key) const {
    return fmt::format("objects/{}/{}/{}", kube::names_of(key.kind).name, escape(key.name_space), escape(key.name));
  }
  std::string operator()(const ClusterIpKey& key) const { return "claims/clusterip/" + key.address.to_string(); }
  std::string operator()(const NodePortKey& key) const { return fmt::format("claims/nodeport/{}", key.port); }
  std::string operator()(const AttachmentPlace& key) const {
    return fmt::format("attachments/{}/{}", escape(key.node), escape(key.host_interface));
  }
  std::string operator()(const NodeKey& key) const { return "nodes/" + escape(key.name); }
  std::string operator()(const BlockKey& key) const {
    return fmt::format("blocks/{}/{}-{}", key.prefix.address.family, key.prefix.address.to_string(),
                       key.prefix.length_bits);
  }
};

}  // namespace

std::string escape(std::string_view text) {
  std::string part;
  for (const char c : text) {
    if (is_plain(c)) {
      part += c;
    } else {
      part += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return part;
}

std::optional<std::string> unescape(std::string_view part) {
  std::string text;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '%') {
      text += part[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = part.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
    text += static_cast<char>(value);
    i += 2;
  }
  if (escape(text) != part) return std::nullopt;
  return text;
}

Keys::Keys(std::string prefix) : prefix_(std::move(prefix)) {
  if (prefix_.empty() || prefix_.back() != '/') prefix_ += '/';
}

std::string Keys::print(const Key& key) const { return prefix_ + std::visit(Printer(), key); }

std::optional<Key> Keys::parse(std::string_view text) const {
  if (!text.starts_with(prefix_)) return std::nullopt;
  const auto parts = parts_of(text.substr(prefix_.size()));
  if (!parts) return std::nullopt;
  std::optional<Key> key = key_of(*parts);
  // One thing has one key: of all ways to write an address, a number or a kind, the one that print() takes.
  if (!key || print(*key) != text) return std::nullopt;
  return key;
}

std::string Keys::attachments_of(std::string_view node) const { return attachments() + escape(node) + "/"; }

std::string Keys::blocks_of(std::uint8_t family) const { return fmt::format("{}{}/", blocks(), family); }

}  // namespace millrace::control::agent::cluster
