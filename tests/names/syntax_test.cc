// What Kubernetes allows as a name, a label or a port's name: a row a text, with what each check says of it.
#include "control/names/syntax.h"

#include <gtest/gtest.h>

#include <string>

namespace millrace::control::names {
namespace {

struct Row {
  std::string text;
  bool dns_label, dns_subdomain, label_key, label_value, port_name;
};

TEST(Syntax, IsThatOfKubernetes) {
  const std::string of63(63, 'a'), of64(64, 'a');
  const std::string of253 = of63 + "." + of63 + "." + of63 + "." + std::string(61, 'a');
  const Row rows[] = {
      // text                      DNS label, subdomain, label key, label value, port name
      {"web", true, true, true, true, true},
      {"a", true, true, true, true, true},
      {"a-b", true, true, true, true, true},
      {"", false, false, false, true, false},
      {"-", false, false, false, false, false},
      {"-a", false, false, false, false, false},
      {"a-", false, false, false, false, false},
      {"a--b", true, true, true, true, false},
      {"80", true, true, true, true, false},
      {"8080-tcp", true, true, true, true, true},
      {"a23456789012345", true, true, true, true, true},
      {"a234567890123456", true, true, true, true, false},
      {of63, true, true, true, true, false},
      {of64, false, false, false, false, false},
      {"Web", false, false, true, true, false},
      {"a_b", false, false, true, true, false},
      {"_a", false, false, false, false, false},
      {"a.b", false, true, true, true, false},
      {"a..b", false, false, true, true, false},
      {".a", false, false, false, false, false},
      {"a.", false, false, false, false, false},
      {"a.b-", false, false, false, false, false},
      {of253, false, true, false, false, false},
      {of253 + "a", false, false, false, false, false},
      {of253 + "/" + of63, false, false, true, false, false},
      {of253 + "a/b", false, false, false, false, false},
      {"a/" + of64, false, false, false, false, false},
      {"example.com/Tier_1", false, false, true, false, false},
      {"Example.com/tier", false, false, false, false, false},
      {"/tier", false, false, false, false, false},
      {"example.com/", false, false, false, false, false},
      {"a/b/c", false, false, false, false, false},
      {"a b", false, false, false, false, false},
      {std::string("a\0b", 3), false, false, false, false, false},
      {"a\nb", false, false, false, false, false},
      {"\xc3\xa4", false, false, false, false, false},
      {"../a", false, false, false, false, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE('"' + row.text + '"');
    EXPECT_EQ(is_dns_label(row.text), row.dns_label) << "as a DNS label";
    EXPECT_EQ(is_dns_subdomain(row.text), row.dns_subdomain) << "as a DNS subdomain";
    EXPECT_EQ(is_label_key(row.text), row.label_key) << "as a label's key";
    EXPECT_EQ(is_label_value(row.text), row.label_value) << "as a label's value";
    EXPECT_EQ(is_port_name(row.text), row.port_name) << "as a port's name";
  }
}

}  // namespace
}  // namespace millrace::control::names
