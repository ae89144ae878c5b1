// Histories of three agents over one etcd, made of chance: each is told late, loses answers, is away; in the end all
// see the same, it is what etcd has, and every address and port is one Service's.
#include <gtest/gtest.h>

#include <random>

#include "tests/agent/cluster_agents.h"
#include "tests/agent/memory_etcd.h"

namespace millrace::control::agent::cluster {
namespace {

using kube::Kind;

struct Agent {
  Agent(const std::string& name, MemoryEtcd& etcd) : line(etcd), agent(name, line) {
    line.subscribe([this](const etcd::Batch& batch) { agent.on_batch(batch); });
    agent.objects->on_change([this](const ObjectChanges& changes) {
      for (const ObjectChange& change : changes) {
        EXPECT_EQ(heard[change.key], change.before);
        heard[change.key] = change.after;
      }
    });
    line.deliver();
  }
  MemoryLine line;
  AgentObjects agent;
  std::map<kube::ObjectKey, ObjectRef> heard;
};

class History : public testing::TestWithParam<unsigned> {
 protected:
  std::uint32_t below(std::uint32_t count) { return static_cast<std::uint32_t>(random_() % count); }
  std::string some_name() { return fmt::format("n{}", below(5)); }

  std::string some_manifest() {
    const std::string meta = fmt::format("metadata: {{name: {}, labels: {{v: v{}}}}}\n", some_name(), below(3));
    switch (below(4)) {
      case 0: return "---\napiVersion: v1\nkind: Pod\n" + meta + "spec: {containers: [{name: c}]}\n";
      case 1:
        return fmt::format(
            "---\napiVersion: v1\nkind: Service\n{}spec: {{type: NodePort, ports: [{{port: 80, nodePort: {}}}]}}\n",
            meta, 30000 + below(10));
      case 2:
        return fmt::format(
            "---\napiVersion: v1\nkind: Service\n{}spec: {{type: NodePort, ipFamilyPolicy: PreferDualStack, ports: "
            "[{{port: {}}}]}}\n",
            meta, 80 + below(3));
      default:
        return "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n" + meta + "spec: {podSelector: {}}\n";
    }
  }

  void change_some(Agent& at, MemoryEtcd& etcd) {
    const std::string node = fmt::format("far{}", below(2)), pod = some_name();
    switch (below(8)) {
      case 0: at.agent.remove({{kube::kKinds[2 + below(5)], "default", some_name()}}); return;
      case 1:
        if (below(2) == 0) return etcd.erase(kTestKeys.print(NodeKey{node}));
        return etcd.put(kTestKeys.print(NodeKey{node}), "{}");
      case 2: {
        const std::string key = kTestKeys.print(AttachmentPlace{node, "if-" + pod});
        if (below(3) == 0) return etcd.erase(key);
        return etcd.put(key, fmt::format(R"({{"pod": {{"name": "{}", "namespace": "default"}}, "id": {}, )"
                                         R"("createdUnixMs": {}, "addresses": ["10.244.1.{}"]}})",
                                         pod, below(4), below(4), 1 + below(9)));
      }
      default: {
        const std::string told = at.agent.apply(some_manifest() + (below(2) == 0 ? some_manifest() : ""));
        refusals_ += told.find("is in use by") != std::string::npos ? 1 : 0;
        return;
      }
    }
  }

  std::mt19937 random_{GetParam()};
  int refusals_ = 0;
};

TEST_P(History, ends_with_one_view_and_it_is_etcds) {
  MemoryEtcd etcd;
  std::vector<std::unique_ptr<Agent>> agents;
  for (const char* name : {"a", "b", "c"}) agents.push_back(std::make_unique<Agent>(name, etcd));
  for (int step = 0; step < 300; ++step) {
    Agent& at = *agents[below(3)];
    Agent& other = *agents[below(3)];
    if (below(6) == 0) at.line.lost_answers = static_cast<int>(below(3));
    if (below(6) == 0) at.line.lost_requests = static_cast<int>(below(3));
    if (below(12) == 0) at.line.is_away = !at.line.is_away;
    if (below(3) == 0 && &other != &at) {
      at.line.before_txn = [&] { other.agent.apply(some_manifest()); };
    }
    change_some(at, etcd);
    at.line.before_txn = nullptr;
    if (below(4) == 0) other.line.deliver();
    expect_claims_of_services(etcd.items());
    if (HasFailure()) FAIL() << "step " << step;
  }
  Agent fresh("fresh", etcd);
  const auto without_self = [&](const Agent& agent, const std::string& name) {
    auto shown = agent.agent.shown();
    std::erase_if(shown, [&](const std::string& text) {
      return text.find("\"kind\":\"Node\"") != std::string::npos &&
             text.find(fmt::format("\"name\":\"{}\"", name)) != std::string::npos;
    });
    return shown;
  };
  const auto wanted = without_self(fresh, "fresh");
  const char* const names[] = {"a", "b", "c"};
  for (std::size_t i = 0; i < agents.size(); ++i) {
    agents[i]->line.deliver();
    EXPECT_EQ(without_self(*agents[i], names[i]), wanted) << names[i];
    for (const auto& [key, object] : agents[i]->heard) {
      const ObjectRef found = agents[i]->agent.objects->find(key);
      // What was there before anybody listened was not told.
      EXPECT_EQ(found, object) << kube::to_string(key);
    }
  }
  EXPECT_GT(wanted.size(), 5u);
  EXPECT_GT(refusals_, 0) << "the history had no two that want one port";
  EXPECT_GT(agents[0]->line.races + agents[1]->line.races + agents[2]->line.races, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, History, testing::Range(1u, 13u));

}  // namespace
}  // namespace millrace::control::agent::cluster
