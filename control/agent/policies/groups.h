/// Groups: the identities that each peer selector of the policies in use chooses.
///
/// Shape:   a selector is held by those who use it, and is asked once about each identity: about all when it comes, and
///          about a new identity when that comes. For rules with a port by its name a group is cut: one group for each
///          number that the name has on its identities, since one rule then opens different numbers to different pods.
///          A selector without holders stays, and is not sent, until settle(): a change that is taken back leads to the
///          same groups.
/// Names:   the selector's text, and for a cut the name and number behind it: "all pods in namespace a, http=8080".
/// Cost:    a new identity: one question a selector. A new selector: one question an identity.
/// Thread:  one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/agent/policies/identities.h"
#include "control/agent/policies/peer_selector.h"
#include "control/api/switch.pb.h"
#include "control/kube/metadata.h"

namespace millrace::control::agent::policies {

class Groups {
 public:
  /// The switch takes names of 4096 characters, a cut's behind included.
  static constexpr std::size_t kMaxNameLength = 4000;

  class Group;
  using Keys = std::set<kube::ObjectKey>;  // of policies

  /// Uses the whole group from now on. The reference is valid until a settle() after the last release.
  Group& hold(const PeerSelector& selector, const Identities& identities);
  /// Uses the cuts of the group by `port`; `policy` is told (take_recuts()) when a number comes or goes.
  Group& hold_cut(const PeerSelector& selector, const PortName& port, const kube::ObjectKey& policy,
                  const Identities& identities);
  void release(Group& group);
  void release_cut(Group& group, const PortName& port, const kube::ObjectKey& policy);

  void add(Identity number, const LabelSet& labels);
  void remove(Identity number, const LabelSet& labels);

  /// Policies whose cuts have other numbers than before.
  Keys take_recuts();
  /// What differs from what was written last.
  void write_changes(api::ApplyRequest& request);
  void settle();
  std::size_t size() const { return groups_.size(); }

 private:
  Group& find_or_make(const PeerSelector& selector, const Identities& identities);
  std::string name_for(const PeerSelector& selector);
  void touch(Group& group) { touched_.insert(&group); }

  std::map<PeerSelector, std::unique_ptr<Group>> groups_;
  std::map<std::string, std::set<Group*>> by_namespace_;  // those of one namespace; "": the others
  std::set<Group*> touched_;
  std::set<Group*> unused_;
  Keys recuts_;
  std::uint64_t long_names_ = 0;
};

/// One selector's identities.
class Groups::Group {
 public:
  /// Ascending, as the switch wants them.
  using Members = std::vector<Identity>;
  struct Cut {
    std::multiset<kube::ObjectKey> holders;
    std::map<std::uint16_t, Members> by_number;
  };

  Group(PeerSelector selector, std::string name) : selector_(std::move(selector)), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  std::string cut_name(const PortName& port, std::uint16_t number) const;
  const PeerSelector& selector() const { return selector_; }
  const Members& members() const { return members_; }
  /// Precondition: the cut is held.
  const Cut& cut(const PortName& port) const { return cuts_.at(port); }

 private:
  friend class Groups;
  bool is_held() const { return holders_ != 0 || !cuts_.empty(); }
  void write(const std::string& name, const Members* members, api::ApplyRequest& request);

  const PeerSelector selector_;
  const std::string name_;
  std::size_t holders_ = 0;  // of the whole group
  Members members_;
  std::map<PortName, Cut> cuts_;
  std::map<std::string, Members> sent_;  // by name
};

}  // namespace millrace::control::agent::policies
