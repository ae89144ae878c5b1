#include "control/agent/kubernetes_syntax.h"

#include "control/names/syntax.h"

namespace millrace::control::agent {
namespace {

net::Result<void> verdict(bool fits, const std::string& field, std::string_view text, const char* allowed) {
  if (fits) return {};
  constexpr std::size_t kShown = 300;  // a hostile value is not worth a long log line
  return net::invalid_argument(field + ": \"" + std::string(text.substr(0, kShown)) +
                               "\" cannot be; allowed: " + allowed);
}

}  // namespace

net::Result<void> check_dns_label(const std::string& field, std::string_view text) {
  return verdict(names::is_dns_label(text), field, text, "1..63 of a-z 0-9 -, no - first or last");
}

net::Result<void> check_dns_subdomain(const std::string& field, std::string_view text) {
  return verdict(names::is_dns_subdomain(text), field, text,
                 "1..253 characters, parts of 1..63 of a-z 0-9 - with dots between, no - first or last in a part");
}

net::Result<void> check_label_key(const std::string& field, std::string_view text) {
  return verdict(names::is_label_key(text), field, text,
                 "[DNS name/]name, the name 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last");
}

net::Result<void> check_label_value(const std::string& field, std::string_view text) {
  return verdict(names::is_label_value(text), field, text,
                 "nothing, or 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last");
}

net::Result<void> check_port_name(const std::string& field, std::string_view text) {
  return verdict(names::is_port_name(text), field, text, "1..15 of a-z 0-9 - with a letter, no - first, last or twice");
}

}  // namespace millrace::control::agent
