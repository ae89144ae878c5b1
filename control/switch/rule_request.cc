// The rules of a policy, field by field. Errors name their field from the inside out (policy_request.cc).
#include <fmt/core.h>

#include "control/switch/field_checks.h"
#include "control/switch/policy_request.h"
#include "net/packet.h"

namespace millrace::control::switchd {
namespace {

using net::Result;

Result<void> check_count(const char* field, int count, std::size_t limit) {
  if (static_cast<std::size_t>(count) <= limit) return {};
  return net::invalid_argument(fmt::format("{}: {} entries; allowed: at most {}", field, count, limit));
}

Result<net::Prefix> parse_prefix(const char* field, const api::RoutePrefix& wire) {
  return check_prefix(field, wire.address(), wire.length());
}

Result<policy::IpBlock> parse_block(const api::IpBlock& wire) {
  const auto cidr = parse_prefix("cidr", wire.cidr());
  if (!cidr) return cidr.error();
  if (auto counted = check_count("except", wire.except_size(), kMaxBlockExcepts); !counted) return counted.error();
  policy::IpBlock block{*cidr, {}};
  for (int i = 0; i < wire.except_size(); ++i) {
    const auto except = parse_prefix("prefix", wire.except(i));
    if (!except) {
      // "prefix" stands for the entry itself
      return net::Error{except.error().code,
                        fmt::format("except[{}]{}", i, except.error().message.substr(std::string("prefix").size()))};
    }
    const bool is_inside = except->address.family == cidr->address.family && except->length_bits >= cidr->length_bits &&
                           cidr->contains(except->address);
    if (!is_inside) {
      return net::invalid_argument(
          fmt::format("except[{}]: {}; allowed: inside of {}", i, except->to_string(), cidr->to_string()));
    }
    block.except.push_back(*except);
  }
  return block;
}

Result<policy::PortRange> parse_port(const api::PolicyPort& wire) {
  const bool known = wire.protocol() == net::ip_protocol::kTcp || wire.protocol() == net::ip_protocol::kUdp ||
                     wire.protocol() == net::ip_protocol::kSctp;
  if (!known) {
    return net::invalid_argument(
        fmt::format("protocol: {}; allowed: 6 (TCP), 17 (UDP) or 132 (SCTP)", wire.protocol()));
  }
  if (wire.first() > kPortLimit) {
    return net::invalid_argument(fmt::format("first: {}; allowed: 0..{}", wire.first(), kPortLimit));
  }
  if (wire.last() < wire.first() || wire.last() > kPortLimit) {
    return net::invalid_argument(fmt::format("last: {}; allowed: {}..{}", wire.last(), wire.first(), kPortLimit));
  }
  return policy::PortRange{static_cast<std::uint8_t>(wire.protocol()), static_cast<std::uint16_t>(wire.first()),
                           static_cast<std::uint16_t>(wire.last())};
}

Result<RuleSpec> parse_rule(const api::PolicyRule& wire) {
  if (auto counted = check_count("groups", wire.groups_size(), kMaxRuleGroups); !counted) return counted.error();
  if (auto counted = check_count("blocks", wire.blocks_size(), kMaxRuleBlocks); !counted) return counted.error();
  if (auto counted = check_count("ports", wire.ports_size(), kMaxRulePorts); !counted) return counted.error();
  RuleSpec spec;
  spec.index = wire.index();
  spec.rule.any_peer = wire.any_peer();
  spec.groups.assign(wire.groups().begin(), wire.groups().end());
  for (int i = 0; i < wire.blocks_size(); ++i) {
    auto block = parse_block(wire.blocks(i));
    if (!block) return within(fmt::format("blocks[{}]", i), block.error());
    spec.rule.blocks.push_back(std::move(block).value());
  }
  for (int i = 0; i < wire.ports_size(); ++i) {
    const auto range = parse_port(wire.ports(i));
    if (!range) return within(fmt::format("ports[{}]", i), range.error());
    spec.rule.ports.push_back(*range);
  }
  return spec;
}

using WireRules = google::protobuf::RepeatedPtrField<api::PolicyRule>;

std::string bytes_of(const WireRules& rules) {
  std::string bytes;
  for (const api::PolicyRule& rule : rules) {
    const std::uint64_t size = rule.ByteSizeLong();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    rule.AppendToString(&bytes);
  }
  return bytes;
}

}  // namespace

Result<std::shared_ptr<const DirectionSpec>> parse_direction(const api::Policy& wire, Direction direction,
                                                             const DirectionSpec* before) {
  const WireRules& rules = direction == Direction::kIngress ? wire.ingress() : wire.egress();
  const char* name = kDirectionNames[static_cast<unsigned>(direction)];
  if (static_cast<std::size_t>(rules.size()) > policy::kMaxRules) {
    return net::resource_exhausted(
        fmt::format("{}: {} rules; a policy holds {} of one direction", name, rules.size(), policy::kMaxRules));
  }
  DirectionSpec spec{wire.name(), wire.object(), direction, bytes_of(rules), {}};
  if (before != nullptr && before->wire == spec.wire && before->object == spec.object) {
    return std::shared_ptr<const DirectionSpec>();
  }
  spec.rules.reserve(static_cast<std::size_t>(rules.size()));
  for (int i = 0; i < rules.size(); ++i) {
    auto rule = parse_rule(rules[i]);
    if (!rule) return within(fmt::format("{}[{}]", name, i), rule.error());
    spec.rules.push_back(std::move(rule).value());
  }
  return std::shared_ptr<const DirectionSpec>(std::make_shared<DirectionSpec>(std::move(spec)));
}

}  // namespace millrace::control::switchd
