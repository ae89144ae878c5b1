// What YAML's scalars mean, and how JSON becomes YAML.
#include <gtest/gtest.h>

#include "control/kube/manifest.h"
#include "control/kube/yaml_reader.h"

namespace millrace::control::kube {
namespace {

using Json = nlohmann::json;

TEST(Yaml, plain_scalars_have_the_types_that_kubernetes_gives_them) {
  struct Row {
    const char* text;
    Json meaning;
  };
  const std::vector<Row> rows = {
      {"80", 80},         {"-1", -1},        {"1.5", 1.5},
      {"1e3", 1000.0},    {"true", true},    {"no", false},
      {"On", true},       {"null", nullptr}, {"~", nullptr},
      {"1.2.3", "1.2.3"}, {"100m", "100m"},  {"web", "web"},
      {"\"80\"", "80"},   {"'yes'", "yes"},  {"!!str 80", "80"},
      {"0x10", "0x10"},   {"010", 10.0},     {"-", Json::array({nullptr})},
      {"e3", "e3"},       {".", "."},        {"9223372036854775808", 9223372036854775808.0},
  };
  for (const Row& row : rows) {
    const auto values = read_yaml(std::string("a:\n  ") + row.text + "\n", "f");
    ASSERT_TRUE(values.ok()) << row.text << ": " << values.error().message;
    const Json json = values->empty() ? Json() : to_json((*values)[0]);
    EXPECT_EQ(json.value("a", Json()), row.meaning) << row.text;
  }
}

TEST(Yaml, is_written_as_kubectl_does) {
  const Json json = {{"kind", "Service"},
                     {"metadata", {{"labels", {{"a", "true"}, {"b", "80"}, {"c", ""}}}, {"name", "web"}}},
                     {"spec",
                      {{"clusterIP", "10.96.0.1"},
                       {"clusterIPs", {"10.96.0.1", "fd00::1"}},
                       {"none", Json::array()},
                       {"ports", {{{"port", 80}, {"name", "http"}}, {{"port", 81}}}},
                       {"empty", Json::object()}}},
                     {"text", "a: b\n\"c\""},
                     {"version", "1.2"}};
  EXPECT_EQ(to_yaml(json),
            "kind: Service\n"
            "metadata:\n"
            "  labels:\n"
            "    a: \"true\"\n"
            "    b: \"80\"\n"
            "    c: \"\"\n"
            "  name: web\n"
            "spec:\n"
            "  clusterIP: 10.96.0.1\n"
            "  clusterIPs:\n"
            "  - 10.96.0.1\n"
            "  - \"fd00::1\"\n"
            "  empty: {}\n"
            "  none: []\n"
            "  ports:\n"
            "  - name: http\n"
            "    port: 80\n"
            "  - port: 81\n"
            "text: \"a: b\\n\\\"c\\\"\"\n"
            "version: \"1.2\"\n");
  const auto again = read_yaml(to_yaml(json), "f");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_json((*again)[0]), json);
}

TEST(Yaml, knows_the_line_of_each_value) {
  const auto values = read_yaml("a: 1\nb:\n  - c: x\n    d:\n      y\n---\n\ne:\n", "f");
  ASSERT_TRUE(values.ok() && values->size() == 2);
  const Value& first = (*values)[0];
  EXPECT_EQ(first.find("a")->line, 1);
  EXPECT_EQ(first.find("b")->line, 2);
  const Value& entry = first.find("b")->entries[0].value;
  EXPECT_EQ(entry.line, 3);
  EXPECT_EQ(entry.find("d")->line, 5);
  EXPECT_EQ((*values)[1].entries[0].value.line, 8) << "of what is null, the key's";
}

}  // namespace
}  // namespace millrace::control::kube
