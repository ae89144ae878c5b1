// Rules of netlink.h.
#include <linux/fib_rules.h>
#include <netlink/netlink.h>

#include <fmt/format.h>

#include "control/netlink/netlink.h"
#include "control/netlink/nl_object.h"

namespace millrace::control::netlink {
namespace {

constexpr const char* kOwnPackets = "lo";  // as if they came in by it: what the node itself sends

std::string text_of(const PortRule& rule) {
  return fmt::format("rule to {} protocol {} port {}", rule.destination.to_string(), rule.protocol, rule.port);
}

net::Result<NlPtr<rtnl_rule>> make_rule(const PortRule& rule, std::uint32_t table) {
  NlPtr<rtnl_rule> made(rtnl_rule_alloc());
  const auto destination = to_nl(rule.destination);
  if (!made || !destination) return nl_out_of_memory();
  rtnl_rule_set_family(made.get(), nl_family(rule.destination.family));
  rtnl_rule_set_action(made.get(), FR_ACT_TO_TBL);
  rtnl_rule_set_table(made.get(), table);
  rtnl_rule_set_prio(made.get(), kRulePriority);
  for (const int code : {rtnl_rule_set_iif(made.get(), kOwnPackets), rtnl_rule_set_dst(made.get(), destination.get()),
                         rtnl_rule_set_ipproto(made.get(), rule.protocol), rtnl_rule_set_dport(made.get(), rule.port),
                         rtnl_rule_set_protocol(made.get(), kRouteProtocol)}) {
    if (code < 0) return nl_error(text_of(rule), code);
  }
  return made;
}

std::optional<PortRule> describe(rtnl_rule* rule, std::uint32_t table) {
  PortRule found;
  std::uint8_t author = 0;
  std::uint16_t last_port = 0;
  if (rtnl_rule_get_table(rule) != table || rtnl_rule_get_protocol(rule, &author) < 0) return std::nullopt;
  if (author != kRouteProtocol || rtnl_rule_get_ipproto(rule, &found.protocol) < 0) return std::nullopt;
  if (rtnl_rule_get_dport(rule, &found.port, &last_port) < 0 || rtnl_rule_get_dst(rule) == nullptr) {
    return std::nullopt;
  }
  const auto to = from_nl(rtnl_rule_get_dst(rule), rtnl_rule_get_family(rule) == AF_INET ? 4 : 6);
  if (!to) return std::nullopt;
  found.destination = to->address;
  return found;
}

}  // namespace

net::Result<void> Netlink::add_port_rule(const PortRule& rule, std::uint32_t table) {
  auto made = make_rule(rule, table);
  if (!made) return made.error();
  const int code = rtnl_rule_add(socket_.get(), made->get(), NLM_F_CREATE | NLM_F_EXCL);
  if (code < 0 && code != -NLE_EXIST) return nl_error("adding " + text_of(rule), code);
  return {};
}

net::Result<void> Netlink::remove_port_rule(const PortRule& rule, std::uint32_t table) {
  auto made = make_rule(rule, table);
  if (!made) return made.error();
  const int code = rtnl_rule_delete(socket_.get(), made->get(), 0);
  if (code < 0 && code != -NLE_OBJ_NOTFOUND) return nl_error("removing " + text_of(rule), code);
  return {};
}

net::Result<std::vector<PortRule>> Netlink::port_rules(std::uint32_t table) {
  std::vector<PortRule> found;
  for (const int family : {AF_INET, AF_INET6}) {
    nl_cache* all = nullptr;
    const int code = rtnl_rule_alloc_cache(socket_.get(), family, &all);
    if (code == -NLE_AF_NOSUPPORT || code == -NLE_OPNOTSUPP) continue;  // a kernel without IPv6, or without rules
    if (code < 0) return nl_error("listing rules", code);
    const NlPtr<nl_cache> cache(all);
    for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
      if (auto rule = describe(reinterpret_cast<rtnl_rule*>(object), table)) found.push_back(*rule);
    }
  }
  return found;
}

}  // namespace millrace::control::netlink
