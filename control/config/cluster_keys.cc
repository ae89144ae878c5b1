// Keys of many nodes: the store that they share, and how packets get from one to another.
#include <fmt/format.h>

#include "control/config/key_makers.h"

namespace millrace::control::config {

namespace {

constexpr std::size_t kEndpointLimit = 16;
constexpr std::size_t kUserLimit = 253;
constexpr std::size_t kEtcdPrefixLimit = 200;
/// A lease must outlive a few lost keep-alives, and a node that died should not seem alive for long.
constexpr Range kLeaseSeconds{5, 300};
/// 24 bits (RFC 7348 s.5); 0 and the last are kept by implementations for themselves.
constexpr Range kVni{1, 16777214};
constexpr Range kVxlanPort{1, 65535};

const char* const kFileRule = "none, or an absolute path: letters, digits and . _ / - + @, without \"..\"";

/// A file, or "" for `none`.
template <typename Group>
Key file_key(std::string_view path, std::string_view about, Group Config::*group, std::string Group::*member) {
  return text(path, "none", kFileRule, about, [group, member](const YAML::Node& node, Config& config) {
    return read_path_or_none(node, config.*group.*member);
  });
}

Key etcd_file(std::string_view path, std::string_view about, std::string Config::Etcd::*member) {
  return file_key(path, about, &Config::etcd, member);
}

std::vector<Key> etcd_keys() {
  return {
      choice("store", "embedded", {"embedded", "etcd"},
             "Where the state of the cluster is. `embedded`: in the agent's own database, for one node, with nothing "
             "else running. `etcd`: shared by all nodes that name the same etcd; it needs `uplink` and "
             "`etcd.endpoints`.",
             [](std::size_t index, Config& config) { config.store = static_cast<Store>(index); }),
      {"etcd.endpoints", "list of URLs", "[]",
       fmt::format("a list of at most {} different http://HOST:PORT, or of as many https://HOST:PORT", kEndpointLimit),
       "Members of etcd. When one does not answer, the next is asked.",
       [](const YAML::Node& node, Config& config) {
         return read_endpoints(node, kEndpointLimit, config.etcd.endpoints);
       }},
      text("etcd.prefix", "/millrace/v1/",
           fmt::format("at most {} letters, digits and . _ / - + @, with / at both ends", kEtcdPrefixLimit),
           "What the keys of this cluster in etcd begin with. Two clusters in one etcd need two.",
           [](const YAML::Node& node, Config& config) {
             return read_key_prefix(node, kEtcdPrefixLimit, config.etcd.prefix);
           }),
      etcd_file("etcd.caFile", "Certificates (PEM) that etcd's is checked with. `none`: those of the system.",
                &Config::Etcd::ca_file),
      etcd_file("etcd.certFile", "This node's certificate for etcd (PEM).", &Config::Etcd::cert_file),
      etcd_file("etcd.keyFile", "The key of `etcd.certFile` (PEM).", &Config::Etcd::key_file),
      text("etcd.user", "none", fmt::format("none, or at most {} characters", kUserLimit),
           "User of etcd with `etcd.passwordFile`. `none`: without authentication.",
           [](const YAML::Node& node, Config& config) { return read_user(node, kUserLimit, config.etcd.user); }),
      etcd_file("etcd.passwordFile", "File whose first line is the password of `etcd.user`.",
                &Config::Etcd::password_file),
      integer("etcd.leaseSeconds", "15", kLeaseSeconds,
              "Seconds after which a node that says nothing more is gone for the others: no packets go there, and its "
              "pods serve nobody. Its addresses stay its own.",
              [](std::uint32_t value, Config& config) { config.etcd.lease_seconds = value; }),
  };
}

std::vector<Key> tunnel_keys() {
  return {
      choice("encapsulation", "vxlan", {"vxlan", "crossSubnet", "none"},
             "How pods' packets go to another node, with `store: etcd`. `vxlan`: in UDP (RFC 7348), over any network. "
             "`crossSubnet`: so only to nodes behind a router, and as they are to those on the same link. `none`: as "
             "they are; the network between must route the nodes' blocks.",
             [](std::size_t index, Config& config) { config.encapsulation = static_cast<Encapsulation>(index); }),
      integer("vxlan.vni", "4096", kVni, "VXLAN network identifier, the same on all nodes.",
              [](std::uint32_t value, Config& config) { config.vxlan.vni = value; }),
      integer("vxlan.port", "4789", kVxlanPort, "UDP port of VXLAN, the same on all nodes.",
              [](std::uint32_t value, Config& config) { config.vxlan.port = static_cast<std::uint16_t>(value); }),
  };
}

std::vector<Key> bird_keys() {
  return {
      file_key(
          "bird.configFile",
          "Where the agent writes this node's blocks of pods' addresses for BIRD 2, as static routes of the tables "
          "`millrace4` and `millrace6`: bird.conf includes the file and announces the tables to the routers, which "
          "`encapsulation: none` needs. It is replaced when the blocks change.",
          &Config::bird, &Config::Bird::config_file),
      file_key("bird.controlSocket",
               "BIRD's control socket, /run/bird/bird.ctl in Debian: BIRD is told to read its configuration again when "
               "`bird.configFile` was replaced. `none`: somebody else does that.",
               &Config::bird, &Config::Bird::control_socket),
  };
}

}  // namespace

std::vector<Key> cluster_keys() {
  std::vector<Key> keys = etcd_keys();
  for (Key& key : tunnel_keys()) keys.push_back(std::move(key));
  for (Key& key : bird_keys()) keys.push_back(std::move(key));
  return keys;
}

}  // namespace millrace::control::config
