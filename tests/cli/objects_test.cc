// apply, get and delete before the agent is asked: files, words, tables.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "control/cli/command.h"
#include "control/cli/manifest_files.h"
#include "control/cli/object_table.h"

namespace millrace::control::cli {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/mr-cli-test-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~Files() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(directory_ + "/" + name) << text; }
  /// Names in the order they were read, or the error with the directory's name cut out.
  std::string read(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(directory_ + name);
    const auto manifests = read_manifests(paths, {});
    std::string text;
    if (manifests) {
      for (const auto& manifest : manifests->objects) text += kube::meta_of(manifest.object).name + " ";
      return text;
    }
    text = manifests.error().message;
    for (std::size_t at; (at = text.find(directory_)) != std::string::npos;) text.erase(at, directory_.size());
    return text;
  }
  std::string directory_;
};

std::string space(const std::string& name) {
  return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n";
}

TEST_F(Files, OfADirectoryAreReadInOrderAndOthersAreLeft) {
  write("b.yaml", space("b1") + "---\n" + space("b2"));
  write("a.json", R"({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})");
  write("notes.txt", "not a manifest");
  std::filesystem::create_directory(directory_ + "/sub");
  write("sub/c.yaml", space("c"));
  EXPECT_EQ(read({""}), "a b1 b2 ");
  EXPECT_EQ(read({"/sub/c.yaml", ""}), "c a b1 b2 ");
}

TEST_F(Files, TellEveryErrorOfEveryFile) {
  write("a.yaml", "kind: Namespace\n");
  write("b.yaml", space("x") + "spec: 1\n");
  write("c.yaml", space("x"));
  write("d.yaml", space("x"));
  EXPECT_EQ(read({"/a.yaml", "/b.yaml", "/c.yaml", "/d.yaml"}),
            "/a.yaml:1: apiVersion: is missing; allowed: v1\n"
            "/b.yaml:4: spec: 1 is a number, not a map\n"
            "/d.yaml: namespace/x is in /c.yaml, too; allowed: each object once");
  EXPECT_EQ(read({"/none.yaml"}), "/none.yaml: there is no such file or directory");
  std::filesystem::create_directory(directory_ + "/empty");
  EXPECT_EQ(read({"/empty"}), "/empty: no .yaml, .yml or .json file is in it");
}

TEST(Words, ForKindsAreThoseOfKubectl) {
  const std::vector<std::pair<std::string, kube::Kind>> rows = {
      {"svc", kube::Kind::kService},
      {"services", kube::Kind::kService},
      {"Service", kube::Kind::kService},
      {"po", kube::Kind::kPod},
      {"ep", kube::Kind::kEndpoints},
      {"endpointslices", kube::Kind::kEndpointSlice},
      {"ns", kube::Kind::kNamespace},
      {"no", kube::Kind::kNode},
      {"nodes", kube::Kind::kNode},
      {"endpointslice.discovery.k8s.io", kube::Kind::kEndpointSlice},
      {"networkpolicies", kube::Kind::kNetworkPolicy},
      {"networkpolicy", kube::Kind::kNetworkPolicy},
      {"netpol", kube::Kind::kNetworkPolicy},
      {"networkpolicy.networking.k8s.io", kube::Kind::kNetworkPolicy}};
  for (const auto& [word, kind] : rows) {
    const auto found = kind_of_word(word);
    ASSERT_TRUE(found.ok()) << word;
    EXPECT_EQ(*found, kind) << word;
  }
  EXPECT_EQ(
      kind_of_word("deploy").error().message,
      "\"deploy\": no such kind; allowed: namespaces (ns), nodes (no), pods (po), services (svc), endpoints (ep), "
      "endpointslices, networkpolicies (netpol)");
}

std::vector<ObjectRow> rows(const std::vector<const char*>& documents) {
  constexpr std::uint64_t kNow = 1'700'000'100'000;  // 100 s after the time below
  std::vector<ObjectRow> all;
  for (const char* const text : documents) {
    auto json = nlohmann::json::parse(text);
    json["apiVersion"] = kube::find_kind(json["kind"].get<std::string>())->api_version;
    json["metadata"]["creationTimestamp"] = "2023-11-14T22:13:20Z";
    auto row = object_row(json, kNow);
    EXPECT_TRUE(row.ok()) << (row ? "" : row.error().message);
    if (row) all.push_back(*std::move(row));
  }
  return all;
}

TEST(ObjectTable, OfServicesIsThatOfKubectl) {
  const auto services = rows({
      R"({"kind":"Service","metadata":{"name":"web"},"spec":{"type":"NodePort","clusterIP":"10.96.0.7",
          "selector":{"app":"web"},"ports":[{"port":80,"nodePort":30500}]}})",
      R"({"kind":"Service","metadata":{"name":"dns"},"spec":{"clusterIP":"None","ports":[{"name":"a","port":53,
          "protocol":"UDP"},{"name":"b","port":53}]}})",
      R"({"kind":"Service","metadata":{"name":"lb"},"spec":{"type":"LoadBalancer","clusterIP":"10.96.0.8",
          "loadBalancerIP":"192.0.2.1","externalIPs":["192.0.2.2"],"ports":[{"port":443}]}})",
      R"({"kind":"Service","metadata":{"name":"out"},"spec":{"type":"ExternalName","externalName":"a.example"}})",
  });
  EXPECT_EQ(object_table(kube::Kind::kService, services, false, true),
            "NAME  TYPE          CLUSTER-IP  EXTERNAL-IP          PORT(S)        AGE     SELECTOR\n"
            "web   NodePort      10.96.0.7   <none>               80:30500/TCP   1m 40s  app=web\n"
            "dns   ClusterIP     None        <none>               53/UDP,53/TCP  1m 40s  <none>\n"
            "lb    LoadBalancer  10.96.0.8   192.0.2.1,192.0.2.2  443/TCP        1m 40s  <none>\n"
            "out   ExternalName  <none>      a.example            <none>         1m 40s  <none>\n");
}

TEST(ObjectTable, OfTheOtherKinds) {
  EXPECT_EQ(object_table(
                kube::Kind::kPod,
                rows({R"({"kind":"Pod","metadata":{"name":"p","namespace":"shop"},"spec":{"containers":[{"name":"c"}]},
                                   "status":{"phase":"Running","podIP":"10.244.0.2"}})"}),
                true, false),
            "NAMESPACE  NAME  READY  STATUS   IP          AGE\n"
            "shop       p     yes    Running  10.244.0.2  1m 40s\n");
  EXPECT_EQ(
      object_table(kube::Kind::kEndpointSlice,
                   rows({R"({"kind":"EndpointSlice","metadata":{"name":"s"},"addressType":"IPv4","ports":[{"port":80}],
                                   "endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.2"]},
                                   {"addresses":["10.0.0.3"]},{"addresses":["10.0.0.4"]}]})"}),
                   false, false),
      "NAME  ADDRESSTYPE  PORTS  ENDPOINTS                               AGE\n"
      "s     IPv4         80     10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...  1m 40s\n");
  EXPECT_EQ(
      object_table(kube::Kind::kNetworkPolicy,
                   rows({R"({"kind":"NetworkPolicy","metadata":{"name":"all"}})",
                         R"({"kind":"NetworkPolicy","metadata":{"name":"db"},"spec":{"podSelector":{"matchLabels":
                                   {"role":"db"},"matchExpressions":[{"key":"env","operator":"NotIn","values":["x"]}]},
                                   "policyTypes":["Egress","Ingress"]}})",
                         R"({"kind":"NetworkPolicy","metadata":{"name":"out"},"spec":{"policyTypes":["Egress"]}})"}),
                   false, false),
      "NAME  POD-SELECTOR           POLICY-TYPES    AGE\n"
      "all   <none>                 Ingress         1m 40s\n"
      "db    env notin (x),role=db  Ingress,Egress  1m 40s\n"
      "out   <none>                 Egress          1m 40s\n");
  EXPECT_EQ(
      object_table(kube::Kind::kEndpoints,
                   rows({R"({"kind":"Endpoints","metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"10.0.0.1"},
                                   {"ip":"fd00::1"}],"ports":[{"port":80}]}]})"}),
                   false, false),
      "NAME  ENDPOINTS                 AGE\n"
      "e     10.0.0.1:80,[fd00::1]:80  1m 40s\n");
}

}  // namespace
}  // namespace millrace::control::cli
