#include "control/agent/port_type.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "control/config/values.h"

namespace millrace::control::agent {
namespace {

constexpr std::string_view kPortType = "millrace.io/port-type";
constexpr std::string_view kListener = "millrace.io/vhost-listener";
constexpr std::string_view kQueues = "millrace.io/vhost-queues";

const std::string* find(const kube::Pod& pod, std::string_view name) {
  const auto found = pod.meta.annotations.find(name);
  return found == pod.meta.annotations.end() ? nullptr : &found->second;
}

net::Error refuse(std::string_view name, const std::string& value, const std::string& allowed) {
  return net::invalid_argument(
      fmt::format("metadata.annotations.{}: {}; allowed: {}", name, config::shown(value), allowed));
}

net::Result<VhostWish> read_wish(const kube::Pod& pod) {
  VhostWish wish;
  if (const std::string* listener = find(pod, kListener)) {
    if (*listener != "switch" && *listener != "pod") return refuse(kListener, *listener, "switch, pod");
    wish.pod_listens = *listener == "pod";
  }
  if (const std::string* queues = find(pod, kQueues)) {
    const char* const end = queues->data() + queues->size();
    const auto [rest, error] = std::from_chars(queues->data(), end, wish.queue_pairs);
    if (error != std::errc{} || rest != end || wish.queue_pairs < 1 || wish.queue_pairs > kMaxVhostQueuePairs) {
      return refuse(kQueues, *queues, fmt::format("1..{}", kMaxVhostQueuePairs));
    }
  }
  return wish;
}

net::Result<void> read_annotations(const kube::Pod& pod, PodRequest& request) {
  const std::string* type = find(pod, kPortType);
  if (type == nullptr || *type == "kernel") return {};
  if (*type != "vhost-user") return refuse(kPortType, *type, "kernel, vhost-user");
  auto wish = read_wish(pod);
  if (!wish) return wish.error();
  request.vhost = *wish;
  return {};
}

}  // namespace

net::Result<void> choose_port_type(const kube::Pod* pod, PodRequest& request) {
  if (!request.names_port_type && pod != nullptr) {
    if (auto read = read_annotations(*pod, request); !read) return read;
  }
  if (!request.vhost || request.step == api::ADD_POD_STEP_WHOLE) return {};
  return net::invalid_argument(
      "step: PREPARE and COMPLETE are of kernel interfaces; allowed with a vhost-user socket: WHOLE, so an IPAM plugin "
      "that needs no interface");
}

}  // namespace millrace::control::agent
