// What a pod's annotations say of its port, and who may say it.
#include "control/agent/port_type.h"

#include <gtest/gtest.h>

namespace millrace::control::agent {
namespace {

kube::Pod pod_with(const kube::Labels& annotations) {
  kube::Pod pod;
  pod.meta.annotations = annotations;
  return pod;
}

TEST(PortType, follows_the_annotations_when_the_request_names_none) {
  struct Row {
    const char* name;
    kube::Labels annotations;
    std::optional<VhostWish> vhost;
  };
  const Row rows[] = {
      {"none", {}, std::nullopt},
      {"another's", {{"example.com/port-type", "vhost-user"}}, std::nullopt},
      {"kernel", {{"millrace.io/port-type", "kernel"}}, std::nullopt},
      {"kernel, and how a socket would be",
       {{"millrace.io/port-type", "kernel"}, {"millrace.io/vhost-queues", "4"}},
       std::nullopt},
      {"vhost-user", {{"millrace.io/port-type", "vhost-user"}}, VhostWish{false, 0}},
      {"vhost-user of a switch that listens",
       {{"millrace.io/port-type", "vhost-user"}, {"millrace.io/vhost-listener", "switch"}},
       VhostWish{false, 0}},
      {"vhost-user of a pod that listens, four queues",
       {{"millrace.io/port-type", "vhost-user"},
        {"millrace.io/vhost-listener", "pod"},
        {"millrace.io/vhost-queues", "4"}},
       VhostWish{true, 4}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const kube::Pod pod = pod_with(row.annotations);
    PodRequest request;
    ASSERT_TRUE(choose_port_type(&pod, request).ok());
    EXPECT_EQ(request.vhost, row.vhost);
  }
}

TEST(PortType, names_the_annotation_that_is_wrong) {
  struct Row {
    kube::Labels annotations;
    std::string error;
  };
  const std::pair<const std::string, std::string> is_vhost{"millrace.io/port-type", "vhost-user"};
  const Row rows[] = {
      {{{"millrace.io/port-type", "sriov"}},
       "metadata.annotations.millrace.io/port-type: \"sriov\"; allowed: kernel, vhost-user"},
      {{is_vhost, {"millrace.io/vhost-listener", "qemu"}},
       "metadata.annotations.millrace.io/vhost-listener: \"qemu\"; allowed: switch, pod"},
      {{is_vhost, {"millrace.io/vhost-queues", "0"}},
       "metadata.annotations.millrace.io/vhost-queues: \"0\"; allowed: 1..64"},
      {{is_vhost, {"millrace.io/vhost-queues", "65"}},
       "metadata.annotations.millrace.io/vhost-queues: \"65\"; allowed: 1..64"},
      {{is_vhost, {"millrace.io/vhost-queues", "4x"}},
       "metadata.annotations.millrace.io/vhost-queues: \"4x\"; allowed: 1..64"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.error);
    const kube::Pod pod = pod_with(row.annotations);
    PodRequest request;
    const auto chosen = choose_port_type(&pod, request);
    ASSERT_FALSE(chosen.ok());
    EXPECT_EQ(chosen.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_EQ(chosen.error().message, row.error);
  }
}

TEST(PortType, the_requests_word_comes_first) {
  const kube::Pod pod = pod_with({{"millrace.io/port-type", "vhost-user"}, {"millrace.io/vhost-queues", "many"}});
  PodRequest kernel;
  kernel.names_port_type = true;
  ASSERT_TRUE(choose_port_type(&pod, kernel).ok());
  EXPECT_FALSE(kernel.vhost);
  PodRequest socket;
  socket.names_port_type = true;
  socket.vhost = VhostWish{true, 2};
  ASSERT_TRUE(choose_port_type(nullptr, socket).ok());
  EXPECT_EQ(socket.vhost, (VhostWish{true, 2}));
}

TEST(PortType, a_socket_has_no_lease) {
  PodRequest request;
  request.names_port_type = true;
  request.vhost = VhostWish{};
  request.step = api::ADD_POD_STEP_PREPARE;
  const auto chosen = choose_port_type(nullptr, request);
  ASSERT_FALSE(chosen.ok());
  EXPECT_EQ(chosen.error().message.substr(0, 6), "step: ");
}

}  // namespace
}  // namespace millrace::control::agent
