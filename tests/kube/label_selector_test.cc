// LabelSelector: what it selects, and how it is written.
#include "control/kube/label_selector.h"

#include <gtest/gtest.h>

#include <utility>

namespace millrace::control::kube {
namespace {

using enum SelectorOperator;

const Labels kWeb = {{"app", "web"}, {"tier", "front"}, {"empty", ""}};

TEST(LabelSelector, RequirementsHoldAsTheirOperatorSays) {
  struct Row {
    const char* name;
    SelectorRequirement requirement;
    bool matches;
  };
  const std::vector<Row> rows = {
      {"In", {"app", kIn, {"db", "web"}}, true},
      {"In, another value", {"app", kIn, {"db"}}, false},
      {"In, absent key", {"zone", kIn, {"a", ""}}, false},
      {"In, without a value", {"empty", kIn, {""}}, true},
      {"NotIn", {"app", kNotIn, {"db"}}, true},
      {"NotIn, one of the values", {"app", kNotIn, {"db", "web"}}, false},
      {"NotIn, absent key", {"zone", kNotIn, {"a"}}, true},
      {"NotIn, absent key is no empty value", {"zone", kNotIn, {""}}, true},
      {"Exists", {"app", kExists, {}}, true},
      {"Exists, without a value", {"empty", kExists, {}}, true},
      {"Exists, absent key", {"zone", kExists, {}}, false},
      {"DoesNotExist", {"app", kDoesNotExist, {}}, false},
      {"DoesNotExist, absent key", {"zone", kDoesNotExist, {}}, true},
  };
  for (const Row& row : rows) EXPECT_EQ(row.requirement.matches(kWeb), row.matches) << row.name;
}

TEST(LabelSelector, SelectsByAllOfIt) {
  struct Row {
    const char* name;
    std::vector<std::pair<std::string, std::string>> labels;
    std::vector<SelectorRequirement> expressions;
    bool matches;
  };
  const std::vector<Row> rows = {
      {"empty", {}, {}, true},
      {"label", {{"app", "web"}}, {}, true},
      {"label of another value", {{"app", "db"}}, {}, false},
      {"label that is not there", {{"zone", "a"}}, {}, false},
      {"both labels", {{"app", "web"}, {"tier", "front"}}, {}, true},
      {"one of two labels", {{"app", "web"}, {"tier", "back"}}, {}, false},
      {"label without a value", {{"empty", ""}}, {}, true},
      {"label without a value is not an absent one", {{"zone", ""}}, {}, false},
      {"case counts", {{"App", "web"}}, {}, false},
      {"labels and expressions", {{"app", "web"}}, {{"tier", kIn, {"front"}}}, true},
      {"labels hold, an expression does not", {{"app", "web"}}, {{"tier", kNotIn, {"front"}}}, false},
      {"expressions hold, a label does not", {{"app", "db"}}, {{"tier", kExists, {}}}, false},
      {"every expression", {}, {{"tier", kExists, {}}, {"app", kNotIn, {"db"}}}, true},
      {"one of two expressions", {}, {{"tier", kExists, {}}, {"app", kNotIn, {"web"}}}, false},
  };
  for (const Row& row : rows) {
    const LabelSelector selector = {{row.labels.begin(), row.labels.end()}, row.expressions};
    EXPECT_EQ(selector.matches(kWeb), row.matches) << row.name;
  }
  EXPECT_TRUE(LabelSelector().matches({})) << "the empty one selects what has no labels";
}

TEST(LabelSelector, IsWrittenAsKubectlDoes) {
  const LabelSelector all = {
      {{"tier", "front"}, {"app", "web"}},
      {{"zone", kNotIn, {"c", "b"}}, {"old", kDoesNotExist, {}}, {"app", kIn, {"x"}}, {"b", kExists, {}}}};
  EXPECT_EQ(to_string(all), "app=web,app in (x),b,!old,tier=front,zone notin (b,c)");
  EXPECT_EQ(to_string(LabelSelector()), "");
}

TEST(LabelSelector, IsOrderedByEverythingInIt) {
  const auto with_label = [](const char* key, const char* value) { return LabelSelector{{{key, value}}, {}}; };
  const auto with = [](SelectorRequirement requirement) { return LabelSelector{{}, {std::move(requirement)}}; };
  const std::vector<LabelSelector> ascending = {
      LabelSelector(),         with({"a", kIn, {"x"}}),    with({"a", kIn, {"x", "y"}}),
      with({"a", kIn, {"y"}}), with({"a", kNotIn, {"x"}}), with({"b", kIn, {"x"}}),
      with_label("a", "1"),    with_label("a", "2"),       with_label("b", "1")};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(ascending[i] < ascending[j], i < j) << i << " " << j;
      EXPECT_EQ(ascending[i] == ascending[j], i == j) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace millrace::control::kube
