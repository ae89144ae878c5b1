#include "control/agent/kubernetes_syntax.h"

#include <algorithm>

namespace millrace::control::agent {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z'); }

bool is_dns_label(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_label_name(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

net::Result<void> verdict(bool fits, const std::string& field, std::string_view text, const char* allowed) {
  if (fits) return {};
  constexpr std::size_t kShown = 300;  // a hostile value is not worth a long log line
  return net::invalid_argument(field + ": \"" + std::string(text.substr(0, kShown)) +
                               "\" cannot be; allowed: " + allowed);
}

}  // namespace

net::Result<void> check_dns_label(const std::string& field, std::string_view text) {
  return verdict(is_dns_label(text), field, text, "1..63 of a-z 0-9 -, no - first or last");
}

net::Result<void> check_dns_subdomain(const std::string& field, std::string_view text) {
  return verdict(is_dns_subdomain(text), field, text,
                 "1..253 characters, parts of 1..63 of a-z 0-9 - with dots between, no - first or last in a part");
}

net::Result<void> check_label_key(const std::string& field, std::string_view text) {
  const std::size_t slash = text.find('/');
  const bool fits = slash == std::string_view::npos
                        ? is_label_name(text)
                        : is_dns_subdomain(text.substr(0, slash)) && is_label_name(text.substr(slash + 1));
  return verdict(fits, field, text,
                 "[DNS name/]name, the name 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last");
}

net::Result<void> check_label_value(const std::string& field, std::string_view text) {
  return verdict(text.empty() || is_label_name(text), field, text,
                 "nothing, or 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last");
}

net::Result<void> check_port_name(const std::string& field, std::string_view text) {
  const bool fits = text.size() <= 15 && is_dns_label(text) && text.find("--") == std::string_view::npos &&
                    std::any_of(text.begin(), text.end(), is_lower);
  return verdict(fits, field, text, "1..15 of a-z 0-9 - with a letter, no - first, last or twice");
}

}  // namespace millrace::control::agent
