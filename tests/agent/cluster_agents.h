/// The objects of an agent in a cluster, without the rest of it: store, memory, view, backend, publisher of pods.
///
/// Thread:  one, but for the publisher's own.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "control/agent/cluster/attachment_publisher.h"
#include "control/agent/cluster/cluster_backend.h"
#include "control/agent/cluster/cluster_view.h"
#include "control/agent/object_manager.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent::cluster {

inline const Keys kTestKeys("/m/");

inline ServiceRanges test_ranges() {
  return {.ipv4 = *net::Prefix::parse("10.96.0.0/27"),
          .ipv6 = *net::Prefix::parse("fd00:10:96::/123"),
          .first_node_port = 30000,
          .last_node_port = 30009};
}

class AgentObjects {
 public:
  AgentObjects(const std::string& name, Transactions& etcd, ServiceRanges ranges = test_ranges()) {
    store_ = *Store::open(directory_.path());
    kube::Node self;
    self.meta.name = name;
    auto memory = std::make_unique<ObjectMemory>(self);
    view = std::make_unique<ClusterView>(*memory, kTestKeys);
    publisher = std::make_unique<AttachmentPublisher>(etcd, kTestKeys, name);
    memory->on_attachments([this](const auto& attachments) { publisher->set(attachments); });
    auto backend = std::make_unique<ClusterBackend>(etcd, *memory, *view, kTestKeys);
    objects = *ObjectManager::open(*store_, std::move(ranges), std::move(memory), std::move(backend));
  }

  void on_batch(const etcd::Batch& batch) {
    view->on_batch(batch);
    publisher->on_batch(batch);
  }

  /// What the request did, as text: "created web, unchanged db", or the error.
  std::string apply(const std::string& text) {
    auto manifests = kube::parse_manifests(text, "m.yaml");
    if (!manifests) return manifests.error().message;
    const auto applied = objects->apply(std::move(manifests->objects), false);
    if (!applied) return applied.error().message;
    constexpr const char* kWords[] = {"created", "configured", "unchanged"};
    std::string words;
    for (const Applied& one : *applied) {
      words += fmt::format("{}{} {}", words.empty() ? "" : ", ", kWords[static_cast<int>(one.outcome)], one.key.name);
    }
    return words;
  }
  /// "" or the error.
  std::string remove(const std::vector<kube::ObjectKey>& keys) {
    const auto removed = objects->remove(keys, false);
    return removed ? "" : removed.error().message;
  }

  kube::Service service(const std::string& name) const {
    const ObjectRef found = objects->find({kube::Kind::kService, "default", name});
    return found ? std::get<kube::Service>(*found) : kube::Service();
  }
  kube::Pod pod(const std::string& name) const {
    const ObjectRef found = objects->find({kube::Kind::kPod, "default", name});
    return found ? std::get<kube::Pod>(*found) : kube::Pod();
  }
  /// Each object as text, sorted.
  std::vector<std::string> shown() const {
    std::vector<std::string> all;
    for (const kube::Kind kind : kube::kKinds) {
      const auto got = objects->get(kind, "", "");
      for (const auto& json : *got) all.push_back(json.dump());
    }
    return all;
  }

  /// A pod's interface comes, or goes.
  void attach(const std::string& pod, const std::string& address) {
    Attachment attachment;
    attachment.key = {"net", "c-" + pod, "eth0"};
    attachment.pod_namespace = "default";
    attachment.pod_name = pod;
    attachment.host_interface = "if-" + pod;
    const auto begun = store_->begin_add(
        attachment, {.blocks = nullptr, .wanted = {}, .delegated = {*net::IpAddress::parse(address)}});
    ASSERT_TRUE(begun.ok()) << begun.error().message;
    ASSERT_TRUE(store_->set_state(begun->id, AttachmentState::kActive).ok());
    ASSERT_TRUE(objects->note_attachments().ok());
  }
  void detach(const std::string& pod) {
    const auto found = store_->find({"net", "c-" + pod, "eth0"});
    ASSERT_TRUE(found.ok() && *found);
    ASSERT_TRUE(store_->finish_delete((*found)->id, {}).ok());
    ASSERT_TRUE(objects->note_attachments().ok());
  }

  std::unique_ptr<ClusterView> view;
  std::unique_ptr<AttachmentPublisher> publisher;
  std::unique_ptr<ObjectManager> objects;

 private:
  const ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
};

inline std::string service_yaml(const std::string& name, const std::string& spec = "",
                                const std::string& port = "port: 80") {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {" + spec +
         (spec.empty() ? "" : ", ") + "ports: [{" + port + "}]}\n";
}
inline std::string pod_yaml(const std::string& name, const std::string& labels) {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", labels: {" + labels +
         "}}\nspec: {containers: [{name: c, ports: [{containerPort: 8080, name: http}]}]}\n";
}

/// The claims that a cluster has are exactly those of its Services.
inline void expect_claims_of_services(const std::map<std::string, etcd::KeyValue>& items) {
  std::map<std::string, std::string> wanted, there;
  for (const auto& [text, item] : items) {
    const auto key = kTestKeys.parse(text);
    ASSERT_TRUE(key) << text;
    if (std::holds_alternative<ClusterIpKey>(*key) || std::holds_alternative<NodePortKey>(*key)) {
      there[text] = item.value;
    }
    const auto* object = std::get_if<kube::ObjectKey>(&*key);
    if (object == nullptr || object->kind != kube::Kind::kService) continue;
    const auto read = kube::parse_object(nlohmann::json::parse(item.value));
    ASSERT_TRUE(read.ok()) << item.value;
    for (const Key& claim : claims_of(std::get<kube::Service>(read->object))) {
      const std::string claim_text = kTestKeys.print(claim);
      EXPECT_FALSE(wanted.contains(claim_text)) << claim_text << " is of two services";
      wanted[claim_text] = object->name_space + "/" + object->name;
    }
  }
  EXPECT_EQ(wanted, there);
}

}  // namespace millrace::control::agent::cluster
