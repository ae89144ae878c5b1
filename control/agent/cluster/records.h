/// What the keys of nodes, of blocks and of the cluster's configuration say, as JSON.
///
/// Shape:   nodes/NAME   {"name","addresses":[...],"vtepMac","instance","epoch","version"}; leased
///          blocks/...   {"node","instance","state":"held"|"empty"}; not leased: a node that is away has its pods still
///          config       {"ipam.ipv4.pool":"10.244.0.0/16",...}: what must be the same on all nodes, by key of the
///                       configuration file
///          An instance is one installation of a node: a number made once and kept with its database. Two machines of
///          one name are two.
/// Errors:  nullopt for what is not so: made by hand, or by a version that is not understood. It is left alone.
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/config.h"
#include "net/address.h"

namespace millrace::control::agent::cluster {

struct NodeRecord {
  std::string name;
  std::vector<net::IpAddress> addresses;  // the first of a family is where tunnels go
  net::Mac vtep_mac;
  std::string instance;
  std::uint64_t epoch = 0;  // another at each start of its agent: milliseconds of Unix time
  std::string version;      // of the agent
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

enum class BlockState : std::uint8_t {
  kHeld,   // pods of the node may have addresses of it
  kEmpty,  // the node had it and gives none of it away any more: anybody may take it
};

struct BlockRecord {
  std::string node;
  std::string instance;
  BlockState state = BlockState::kHeld;
  friend bool operator==(const BlockRecord&, const BlockRecord&) = default;
};

/// By key of the configuration file.
using ConfigRecord = std::map<std::string, std::string>;

std::string print(const NodeRecord& record);
std::string print(const BlockRecord& record);
std::string print(const ConfigRecord& record);
std::optional<NodeRecord> parse_node(std::string_view json);
std::optional<BlockRecord> parse_block(std::string_view json);
std::optional<ConfigRecord> parse_config(std::string_view json);

/// As in the configuration file.
const char* to_text(config::Encapsulation encapsulation);
ConfigRecord config_record(const config::Config& config);
/// "" when they agree, else the key and both values.
std::string difference(const ConfigRecord& here, const ConfigRecord& cluster);

}  // namespace millrace::control::agent::cluster
