// Slices and Endpoints that follow from a selector: what people are shown, and that it is what the compiler uses.
#include <gtest/gtest.h>

#include "control/agent/services/derived_slices.h"
#include "tests/agent/cluster.h"
#include "tests/agent/random_cluster.h"

namespace millrace::control::agent::services {
namespace {

EndpointSources of_pods(std::vector<kube::Pod> pods) {
  EndpointSources sources;
  for (kube::Pod& pod : pods) sources.pods.push_back(std::make_shared<const kube::Pod>(std::move(pod)));
  return sources;
}

kube::Service web(std::vector<std::string> cluster_ips = {"10.96.0.1"}) {
  kube::Service service = make_service("web", std::move(cluster_ips), {tcp_port(80)});
  service.selector = {{"app", "web"}};
  return service;
}

std::string text_of(const std::vector<kube::EndpointPort>& ports) {
  std::string text;
  for (const kube::EndpointPort& port : ports) text += fmt::format("{}{}", text.empty() ? ":" : ",", port.port);
  return text;
}

/// "IPv4 :8080 web-0 web-1(ending)": a slice without its name.
std::string text_of(const kube::EndpointSlice& slice) {
  std::string text =
      fmt::format("IPv{} {}", slice.address_type == kube::AddressType::kIpv4 ? 4 : 6, text_of(slice.ports));
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    text += fmt::format(" {}{}{}{}", endpoint.target.name, endpoint.is_ready() ? "" : "(not ready)",
                        endpoint.is_serving() ? "" : "(not serving)", endpoint.is_terminating() ? "(ending)" : "");
  }
  return text;
}

std::string text_of(const kube::Endpoints& endpoints) {
  std::string text;
  for (const kube::EndpointSubset& subset : endpoints.subsets) {
    text += text_of(subset.ports);
    for (const kube::EndpointAddress& address : subset.addresses) text += " " + address.ip.to_string();
    for (const kube::EndpointAddress& address : subset.not_ready_addresses)
      text += " not-ready=" + address.ip.to_string();
  }
  return text;
}

kube::Pod pod(const std::string& name, const std::string& address, const std::function<void(kube::Pod&)>& change) {
  kube::Pod made = make_pod(name, {{"app", "web"}}, address);
  change(made);
  return made;
}

struct Row {
  std::string name;
  kube::Service service;
  EndpointSources sources;
  std::vector<std::string> slices;
  std::optional<std::string> endpoints;
};

std::vector<Row> rows() {
  const auto as_it_is = [](kube::Pod&) {};
  const auto port = [](std::uint16_t number) {
    return [number](kube::Pod& made) { made.ports = {{"http", number, kube::Protocol::kTcp, 0}}; };
  };
  kube::Service named = web();
  named.ports[0].target = {0, "http"};
  kube::Service headless = web({});
  headless.headless = true;
  headless.ip_families = {6};
  headless.ports.clear();
  kube::Service without_selector = web();
  without_selector.selector.clear();
  kube::Service external = web();
  external.type = kube::ServiceType::kExternalName;
  const EndpointSources two = of_pods({pod("a", "10.244.0.1", as_it_is), pod("b", "10.244.0.2", as_it_is)});
  EndpointSources stored = two;
  stored.slices = {std::make_shared<const kube::EndpointSlice>(make_slice("mine", "web", {"10.244.9.9"}, 9090))};
  EndpointSources older = two;
  older.endpoints = std::make_shared<const kube::Endpoints>();
  const EndpointSources in_all_states =
      of_pods({pod("a", "10.244.0.1", [](kube::Pod& made) { made.ready = false; }),
               pod("b", "10.244.0.2", [](kube::Pod& made) { made.meta.deleting = true; }),
               pod("c", "10.244.0.3", [](kube::Pod& made) { made.phase = kube::PodPhase::kSucceeded; }),
               pod("d", "10.244.0.4", [](kube::Pod& made) { made.addresses.clear(); })});
  return {
      {"pods of one port", web(), two, {"IPv4 :8080 a b"}, ":8080 10.244.0.1 10.244.0.2"},
      {"each state of a pod",
       web(),
       in_all_states,
       {"IPv4 :8080 a(not ready)(not serving) b(not ready)(ending)"},
       ":8080 not-ready=10.244.0.1"},
      {"a named port that is another number in each",
       named,
       of_pods(
           {pod("a", "10.244.0.1", port(8080)), pod("b", "10.244.0.2", port(9090)), pod("c", "10.244.0.3", as_it_is)}),
       {"IPv4 :8080 a", "IPv4 :9090 b"},
       ":8080 10.244.0.1:9090 10.244.0.2"},
      {"no pod", web({"10.96.0.1", "fd00:96::1"}), {}, {"IPv4 ", "IPv6 "}, ""},
      {"headless, of IPv6, without ports",
       headless,
       of_pods({pod("a", "10.244.0.1", [](kube::Pod& made) { made.addresses.push_back(ip("fd00:244::1")); })}),
       {"IPv4  a", "IPv6  a"},
       " fd00:244::1"},
      {"a stored slice counts for its family", web({"10.96.0.1", "fd00:96::1"}), stored, {"IPv6 "}, ":9090 10.244.9.9"},
      {"stored Endpoints count for both", web(), older, {}, std::nullopt},
      {"no selector", without_selector, two, {}, std::nullopt},
      {"ExternalName", external, two, {}, std::nullopt},
  };
}

TEST(DerivedSlices, are_what_a_controller_would_write) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    std::vector<std::string> got;
    for (const kube::EndpointSlice& slice : derived_slices(row.service, row.sources)) {
      got.push_back(text_of(slice));
      EXPECT_EQ(slice.service_name(), "web");
      EXPECT_EQ(slice.meta.labels.find(kSliceManagerLabel)->second, "millrace");
      EXPECT_EQ(slice.meta.name.substr(0, 4), "web-");
      EXPECT_EQ(slice.meta.labels.contains(kube::kHeadlessLabel), row.service.headless);
    }
    EXPECT_EQ(got, row.slices);
    const auto endpoints = derived_endpoints(row.service, row.sources);
    ASSERT_EQ(endpoints.has_value(), row.endpoints.has_value());
    if (endpoints) {
      EXPECT_EQ(text_of(*endpoints), *row.endpoints);
      EXPECT_EQ(endpoints->meta.name, "web");
    }
  }
}

TEST(DerivedSlices, hold_so_many_and_keep_their_names) {
  std::vector<kube::Pod> pods;
  for (std::uint32_t i = 0; i < 250; ++i) {
    pods.push_back(make_pod(fmt::format("p{:03}", i), {{"app", "web"}}, fmt::format("10.244.0.{}", i + 1)));
  }
  const auto slices = derived_slices(web(), of_pods(pods));
  ASSERT_EQ(slices.size(), 3u);
  EXPECT_EQ(slices[0].endpoints.size(), kMaxDerivedEndpoints);
  EXPECT_EQ(slices[2].endpoints.size(), 50u);
  EXPECT_NE(slices[0].meta.name, slices[1].meta.name);
  EXPECT_NE(slices[1].meta.name, slices[2].meta.name);
  pods.resize(1);
  EXPECT_EQ(derived_slices(web(), of_pods(pods)).at(0).meta.name, slices[0].meta.name);
}

std::vector<std::string> texts_of(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> texts;
  for (const Endpoint& one : endpoints) {
    texts.push_back(fmt::format("{}:{} {}{}{}{}", one.address.to_string(), one.port, one.ready, one.serving,
                                one.terminating, one.local));
  }
  return texts;
}

TEST(DerivedSlices, compile_to_the_endpoints_of_the_pods) {
  const Node here{.name = "here", .zone = "", .addresses = {}};
  std::size_t compared = 0;
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    Chance chance(seed);
    const kube::Service service = random_service(chance, "a", false);
    std::vector<kube::Pod> chosen;
    for (std::uint32_t number = 1; number < 6; ++number) {
      kube::Pod made = random_pod(chance, number);
      if (selects(service.selector, made.meta.labels)) chosen.push_back(std::move(made));
    }
    const EndpointSources pods = of_pods(chosen);
    EndpointSources slices;
    for (kube::EndpointSlice& slice : derived_slices(service, pods)) {
      slices.slices.push_back(std::make_shared<const kube::EndpointSlice>(std::move(slice)));
    }
    for (const kube::ServicePort& port : service.ports) {
      for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
        if (!serves_family(service, family)) continue;
        const auto want = texts_of(endpoints_of(service, port, family, pods, here));
        // ExternalName has endpoints in neither: nobody compiles it.
        if (service.type == kube::ServiceType::kExternalName) continue;
        EXPECT_EQ(texts_of(endpoints_of(service, port, family, slices, here)), want) << "seed " << seed;
        compared += want.size();
      }
    }
  }
  EXPECT_GT(compared, 500u);
}

}  // namespace
}  // namespace millrace::control::agent::services
