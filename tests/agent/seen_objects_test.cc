// The objects as they are seen are kept in step change by change; a restart makes them of what is stored. Both are the
// same after any history, and who listens has heard of everything.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <random>

#include "control/agent/object_manager.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

using kube::Kind;

const ServiceRanges kRanges{.ipv4 = *net::Prefix::parse("10.96.0.0/27"),
                            .ipv6 = *net::Prefix::parse("fd00:10:96::/123"),
                            .first_node_port = 30000,
                            .last_node_port = 30009};

class History : public testing::Test {
 protected:
  History() {
    store_ = *Store::open(directory_.path());
    self_.meta.name = "n1";
    objects_ = reopened();
    for (const kube::Kind kind : kube::kKinds) {
      for (const ObjectRef& object : objects_->list(kind)) heard_[kube::key_of(*object)] = object;
    }
    objects_->on_change([this](const ObjectChanges& changes) {
      for (const ObjectChange& change : changes) {
        EXPECT_EQ(heard_[change.key], change.before);
        heard_[change.key] = change.after;
      }
    });
  }

  std::unique_ptr<ObjectManager> reopened() { return *ObjectManager::open(*store_, kRanges, self_); }
  std::uint32_t below(std::uint32_t count) { return static_cast<std::uint32_t>(random_() % count); }
  std::string some_namespace() { return below(2) == 0 ? "default" : fmt::format("ns{}", below(2)); }
  std::string some_name() { return fmt::format("n{}", below(5)); }

  std::string some_manifest() {
    const std::string meta = fmt::format("metadata: {{name: {}, namespace: {}, labels: {{v: v{}}}}}\n", some_name(),
                                         some_namespace(), below(3));
    switch (below(5)) {
      case 0: return fmt::format("apiVersion: v1\nkind: Namespace\nmetadata: {{name: ns{}}}\n", below(3));
      case 1:
        return fmt::format("apiVersion: v1\nkind: Node\nmetadata: {{name: n{}, labels: {{v: v{}}}}}\n", below(3),
                           below(3));
      case 2: return "apiVersion: v1\nkind: Pod\n" + meta + "spec: {containers: [{name: c}]}\n";
      case 3:
        return fmt::format(
            "apiVersion: v1\nkind: Service\n{}spec: {{type: NodePort, ports: [{{port: 80, nodePort: {}}}]}}\n", meta,
            30000 + below(10));
      default:
        return fmt::format(
            "apiVersion: v1\nkind: Service\n{}spec: {{ipFamilyPolicy: PreferDualStack, ports: [{{port: {}}}]}}\n", meta,
            80 + below(3));
    }
  }

  void apply_some() {
    auto manifests = kube::parse_manifests(some_manifest() + "---\n" + some_manifest(), "m.yaml");
    if (manifests) (void)objects_->apply(std::move(manifests->objects), below(5) == 0);
  }

  void remove_some() {
    (void)objects_->remove({{kube::kKinds[below(kube::kKinds.size())], below(3) == 0 ? "" : some_namespace(),
                             below(3) == 0 ? fmt::format("ns{}", below(3)) : some_name()}},
                           false);
  }

  void attach_or_detach() {
    Attachment attachment;
    attachment.key = {"net", fmt::format("c{}", below(4)), "eth0"};
    const auto found = *store_->find(attachment.key);
    if (found) {
      ASSERT_TRUE(store_->finish_delete(found->id, {}).ok());
    } else {
      attachment.pod_namespace = some_namespace();
      attachment.pod_name = some_name();
      attachment.host_interface = attachment.key.container_id;
      const auto address = *net::IpAddress::parse("10.244.0." + attachment.key.container_id.substr(1));
      const auto begun = store_->begin_add(attachment, {.blocks = nullptr, .wanted = {}, .delegated = {address}});
      ASSERT_TRUE(begun.ok()) << begun.error().message;
      ASSERT_TRUE(store_->set_state(begun->id, AttachmentState::kActive).ok());
    }
    ASSERT_TRUE(objects_->note_attachments().ok());
  }

  /// Each object as text, sorted.
  static std::vector<std::string> shown(const ObjectManager& objects) {
    std::vector<std::string> all;
    for (const kube::Kind kind : kube::kKinds) {
      const auto got = objects.get(kind, "", "");
      for (const auto& json : *got) all.push_back(json.dump());
    }
    return all;
  }

  const ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
  kube::Node self_;
  std::unique_ptr<ObjectManager> objects_;
  std::map<kube::ObjectKey, ObjectRef> heard_;
  std::mt19937 random_{20};
};

TEST_F(History, leaves_what_a_restart_finds) {
  for (int step = 0; step < 400; ++step) {
    SCOPED_TRACE(step);
    switch (below(4)) {
      case 0: remove_some(); break;
      case 1: attach_or_detach(); break;
      default: apply_some(); break;
    }
    ASSERT_EQ(shown(*objects_), shown(*reopened()));
    for (const kube::Kind kind : kube::kKinds) {
      for (const ObjectRef& object : objects_->list(kind)) ASSERT_EQ(heard_[kube::key_of(*object)], object);
    }
    for (const auto& [key, object] : heard_) ASSERT_EQ(objects_->find(key), object) << kube::to_string(key);
  }
}

/// What claims are kept change by change allocates as those do that a restart makes of the records.
TEST_F(History, leaves_the_claims_that_a_restart_finds) {
  const auto manifests = [](const std::string& text) { return kube::parse_manifests(text, "m.yaml")->objects; };
  for (int step = 0; step < 200; ++step) {
    SCOPED_TRACE(step);
    below(3) == 0 ? remove_some() : apply_some();
    const std::string text = some_manifest();
    const auto here = objects_->apply(manifests(text), true);
    const auto there = reopened()->apply(manifests(text), true);
    ASSERT_EQ(here.ok(), there.ok()) << text << (here ? there.error().message : here.error().message);
    if (!here) { ASSERT_EQ(here.error().message, there.error().message); }
  }
}

}  // namespace
}  // namespace millrace::control::agent
