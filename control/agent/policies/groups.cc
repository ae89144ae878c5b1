#include "control/agent/policies/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::control::agent::policies {
namespace {

using Members = Groups::Group::Members;

void insert(Members& members, Identity number) { members.insert(std::ranges::lower_bound(members, number), number); }

bool erase(Members& members, Identity number) {
  const auto place = std::ranges::lower_bound(members, number);
  if (place == members.end() || *place != number) return false;
  members.erase(place);
  return true;
}

/// The number that a label set has for a port's name.
const std::uint16_t* number_of(const LabelSet& labels, const PortName& port) {
  const auto found = labels.ports.find(port);
  return found == labels.ports.end() ? nullptr : &found->second;
}

}  // namespace

std::string Groups::Group::cut_name(const PortName& port, std::uint16_t number) const {
  return fmt::format("{}, {}={}", name_, to_string(port), number);
}

std::string Groups::name_for(const PeerSelector& selector) {
  std::string text = to_string(selector);
  if (text.size() <= kMaxNameLength) return text;
  constexpr std::size_t kTail = 32;
  text.resize(kMaxNameLength - kTail);
  return fmt::format("{}... (long {})", text, ++long_names_);
}

Groups::Group& Groups::find_or_make(const PeerSelector& selector, const Identities& identities) {
  std::unique_ptr<Group>& place = groups_[selector];
  if (place == nullptr) {
    place = std::make_unique<Group>(selector, name_for(selector));
    by_namespace_[selector.name_space].insert(place.get());
    identities.for_each([&](const Identities::Known& known) {
      if (selector.matches(known.first)) place->members_.push_back(known.second.number);
    });
    std::ranges::sort(place->members_);
  }
  unused_.erase(place.get());
  touch(*place);
  return *place;
}

Groups::Group& Groups::hold(const PeerSelector& selector, const Identities& identities) {
  Group& group = find_or_make(selector, identities);
  ++group.holders_;
  return group;
}

Groups::Group& Groups::hold_cut(const PeerSelector& selector, const PortName& port, const kube::ObjectKey& policy,
                                const Identities& identities) {
  Group& group = find_or_make(selector, identities);
  const auto [place, is_new] = group.cuts_.try_emplace(port);
  Group::Cut& cut = place->second;
  cut.holders.insert(policy);
  if (!is_new) return group;
  for (const Identity member : group.members_) {
    if (const std::uint16_t* number = number_of(identities.at(member).first, port)) {
      cut.by_number[*number].push_back(member);
    }
  }
  return group;
}

void Groups::release(Group& group) {
  --group.holders_;
  touch(group);
  if (!group.is_held()) unused_.insert(&group);
}

void Groups::release_cut(Group& group, const PortName& port, const kube::ObjectKey& policy) {
  const auto cut = group.cuts_.find(port);
  cut->second.holders.extract(policy);  // one of them
  if (cut->second.holders.empty()) group.cuts_.erase(cut);
  touch(group);
  if (!group.is_held()) unused_.insert(&group);
}

void Groups::add(Identity number, const LabelSet& labels) {
  for (const std::string& listed : {labels.name_space, std::string()}) {
    const auto groups = by_namespace_.find(listed);
    if (groups == by_namespace_.end()) continue;
    for (Group* group : groups->second) {
      if (!group->selector_.matches(labels)) continue;
      insert(group->members_, number);
      touch(*group);
      for (auto& [port, cut] : group->cuts_) {
        const std::uint16_t* at = number_of(labels, port);
        if (at == nullptr) continue;
        Members& members = cut.by_number[*at];
        if (members.empty()) recuts_.insert(cut.holders.begin(), cut.holders.end());
        insert(members, number);
      }
    }
  }
}

void Groups::remove(Identity number, const LabelSet& labels) {
  for (const std::string& listed : {labels.name_space, std::string()}) {
    const auto groups = by_namespace_.find(listed);
    if (groups == by_namespace_.end()) continue;
    for (Group* group : groups->second) {
      if (!erase(group->members_, number)) continue;
      touch(*group);
      for (auto& [port, cut] : group->cuts_) {
        const std::uint16_t* at = number_of(labels, port);
        if (at == nullptr) continue;
        const auto members = cut.by_number.find(*at);
        erase(members->second, number);
        if (!members->second.empty()) continue;
        cut.by_number.erase(members);
        recuts_.insert(cut.holders.begin(), cut.holders.end());
      }
    }
  }
}

Groups::Keys Groups::take_recuts() { return std::exchange(recuts_, {}); }

void Groups::Group::write(const std::string& name, const Members* members, api::ApplyRequest& request) {
  const auto sent = sent_.find(name);
  if (members == nullptr) {
    if (sent == sent_.end()) return;
    request.add_remove_groups(name);
    sent_.erase(sent);
    return;
  }
  if (sent != sent_.end() && sent->second == *members) return;
  api::PeerGroup& group = *request.add_upsert_groups();
  group.set_name(name);
  group.mutable_identities()->Add(members->begin(), members->end());
  sent_[name] = *members;
}

void Groups::write_changes(api::ApplyRequest& request) {
  // In the order of the names, not of where they lie in memory: two runs send the same.
  std::vector<Group*> touched(touched_.begin(), touched_.end());
  touched_.clear();
  std::ranges::sort(touched, {}, [](const Group* group) -> const std::string& { return group->name(); });
  for (Group* group : touched) {
    std::map<std::string, const Members*> wanted;
    for (const auto& [name, members] : group->sent_) wanted.emplace(name, nullptr);
    if (group->holders_ != 0) wanted[group->name_] = &group->members_;
    for (const auto& [port, cut] : group->cuts_) {
      for (const auto& [number, members] : cut.by_number) wanted[group->cut_name(port, number)] = &members;
    }
    for (const auto& [name, members] : wanted) group->write(name, members, request);
  }
}

void Groups::settle() {
  for (Group* group : std::exchange(unused_, {})) {
    const auto listed = by_namespace_.find(group->selector_.name_space);
    listed->second.erase(group);
    if (listed->second.empty()) by_namespace_.erase(listed);
    touched_.erase(group);
    groups_.erase(groups_.find(group->selector_));
  }
}

}  // namespace millrace::control::agent::policies
