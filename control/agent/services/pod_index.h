/// Which pods a selector chooses, and which selectors choose a pod, without asking all of them.
///
/// Shape:   a pod is listed under each of its labels, a service under the first label of its selector. So a pod's
///          change looks at the services under its labels, and a service looks through the shortest list of its labels.
/// Thread:  one.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "control/kube/metadata.h"
#include "control/kube/pod.h"
#include "control/kube/service.h"

namespace millrace::control::agent::services {

class PodIndex {
 public:
  using PodRef = std::shared_ptr<const kube::Pod>;

  /// `after` takes the place of `before`; nullptr: there was none, there is none. Returns the services whose selector
  /// chooses one of the two.
  std::set<kube::ObjectKey> change_pod(const PodRef& before, const PodRef& after);
  void change_service(const kube::Service* before, const kube::Service* after);
  /// In the order of their names.
  std::vector<PodRef> selected_by(const kube::Service& service) const;

 private:
  using Label = std::tuple<std::string, std::string, std::string>;  // namespace, key, value
  struct Chooser {
    kube::ObjectKey service;
    kube::Labels selector;
    friend bool operator<(const Chooser& a, const Chooser& b) { return a.service < b.service; }
  };
  void add_services_of(const kube::Pod& pod, std::set<kube::ObjectKey>& services) const;

  std::map<Label, std::map<std::string, PodRef>> pods_;  // by name
  std::map<Label, std::set<Chooser>> services_;
};

}  // namespace millrace::control::agent::services
