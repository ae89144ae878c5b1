#include "control/agent/services/derived_slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace millrace::control::agent::services {
namespace {

using Ports = std::vector<kube::EndpointPort>;

bool has_endpoints(const kube::Service& service) {
  return !service.selector.empty() && service.type != kube::ServiceType::kExternalName;
}

/// Five letters as the API server makes them: no vowels, so that no words come about. FNV-1a: the same in each run.
std::string suffix_of(std::string_view text) {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::string suffix;
  for (int i = 0; i < 5; ++i, hash /= kLetters.size()) suffix += kLetters[hash % kLetters.size()];
  return suffix;
}

std::string text_of(const Ports& ports) {
  std::string text;
  for (const kube::EndpointPort& port : ports) {
    text +=
        fmt::format("{}/{}/{},", port.name, kube::kProtocolNames[static_cast<std::size_t>(port.protocol)], port.port);
  }
  return text;
}

/// One family's slices of a service in the making.
class SliceMaker {
 public:
  SliceMaker(const kube::Service& service, std::uint8_t family) : service_(service), family_(family) {}

  void add(const kube::Pod& pod) {
    Ports ports;
    std::optional<Endpoint> found;
    for (const kube::ServicePort& port : service_.ports) {
      const auto endpoint = endpoint_of(pod, service_, port, family_, Node());
      if (!endpoint) continue;
      ports.push_back({port.name, port.protocol, endpoint->port});
      found = endpoint;
    }
    if (service_.ports.empty()) {  // headless: addresses alone
      kube::ServicePort any;
      any.port = 1;
      found = endpoint_of(pod, service_, any, family_, Node());
    }
    if (!found) return;
    std::string text = text_of(ports);
    auto& slices = by_ports_[text];
    if (slices.empty() || slices.back().endpoints.size() == kMaxDerivedEndpoints) {
      slices.push_back(make(text, slices.size()));
      slices.back().ports = std::move(ports);
    }
    kube::Endpoint& made = slices.back().endpoints.emplace_back();
    made.addresses = {found->address};
    made.ready = found->ready;
    made.serving = found->serving;
    made.terminating = found->terminating;
    made.node_name = pod.node_name;
    made.target = {"Pod", pod.meta.name_space, pod.meta.name};
  }

  void finish(std::vector<kube::EndpointSlice>& out) {
    if (by_ports_.empty()) out.push_back(make("", 0));
    for (auto& [text, slices] : by_ports_) { std::ranges::move(slices, std::back_inserter(out)); }
  }

 private:
  kube::EndpointSlice make(const std::string& ports, std::size_t number) const {
    kube::EndpointSlice slice;
    slice.meta.name = fmt::format("{}-{}", service_.meta.name,
                                  suffix_of(fmt::format("{}/{}/{}/{}", service_.meta.name, family_, ports, number)));
    slice.meta.name_space = service_.meta.name_space;
    slice.meta.labels = service_.meta.labels;
    slice.meta.labels.insert_or_assign(std::string(kube::kServiceNameLabel), service_.meta.name);
    slice.meta.labels.insert_or_assign(std::string(kSliceManagerLabel), std::string(kManager));
    if (service_.headless) slice.meta.labels.insert_or_assign(std::string(kube::kHeadlessLabel), "");
    slice.address_type = family_ == 4 ? kube::AddressType::kIpv4 : kube::AddressType::kIpv6;
    return slice;
  }

  const kube::Service& service_;
  const std::uint8_t family_;
  std::map<std::string, std::vector<kube::EndpointSlice>> by_ports_;
};

std::vector<kube::EndpointSlice> slices_of_pods(const kube::Service& service, std::uint8_t family,
                                                const EndpointSources& sources) {
  SliceMaker maker(service, family);
  for (const auto& pod : sources.pods) maker.add(*pod);
  std::vector<kube::EndpointSlice> slices;
  maker.finish(slices);
  return slices;
}

std::uint8_t first_family(const kube::Service& service) {
  if (!service.cluster_ips.empty()) return service.cluster_ips.front().family;
  return service.ip_families.empty() ? std::uint8_t{4} : service.ip_families.front();
}

void add_subset(const kube::EndpointSlice& slice, std::map<std::string, kube::EndpointSubset>& subsets) {
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    if (endpoint.addresses.empty() || endpoint.is_terminating()) continue;
    kube::EndpointSubset& subset = subsets[text_of(slice.ports)];
    subset.ports = slice.ports;
    auto& addresses = endpoint.is_ready() ? subset.addresses : subset.not_ready_addresses;
    addresses.push_back({endpoint.addresses.front(), endpoint.node_name, endpoint.target});
  }
}

}  // namespace

std::vector<kube::EndpointSlice> derived_slices(const kube::Service& service, const EndpointSources& sources) {
  std::vector<kube::EndpointSlice> slices;
  if (!has_endpoints(service)) return slices;
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    if (!serves_family(service, family) || !come_from_pods(sources, family)) continue;
    std::ranges::move(slices_of_pods(service, family, sources), std::back_inserter(slices));
  }
  return slices;
}

std::optional<kube::Endpoints> derived_endpoints(const kube::Service& service, const EndpointSources& sources) {
  if (!has_endpoints(service) || sources.endpoints != nullptr) return std::nullopt;
  const std::uint8_t family = first_family(service);
  std::map<std::string, kube::EndpointSubset> subsets;
  if (come_from_pods(sources, family)) {
    for (const kube::EndpointSlice& slice : slices_of_pods(service, family, sources)) add_subset(slice, subsets);
  } else {
    for (const auto& slice : sources.slices) {
      if (is_of_family(*slice, family)) add_subset(*slice, subsets);
    }
  }
  kube::Endpoints made;
  made.meta.name = service.meta.name;
  made.meta.name_space = service.meta.name_space;
  made.meta.labels = service.meta.labels;
  made.meta.labels.insert_or_assign(std::string(kEndpointsManagerLabel), std::string(kManager));
  for (auto& [text, subset] : subsets) made.subsets.push_back(std::move(subset));
  return made;
}

}  // namespace millrace::control::agent::services
