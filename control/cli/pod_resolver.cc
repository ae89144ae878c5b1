#include "control/cli/pod_resolver.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace millrace::control::cli {

namespace {

constexpr const char* kResolver = "/etc/resolv.conf";

std::string directory_of(const std::string& netns_name) { return "/etc/netns/" + netns_name; }

net::Error failure(const std::string& what, int error) {
  return net::failed_precondition(fmt::format("{}: {}", what, std::strerror(error)));
}

/// The texts of a member that is a list.
std::vector<std::string> words_of(const nlohmann::json& dns, const char* member) {
  std::vector<std::string> words;
  const auto found = dns.find(member);
  if (found == dns.end() || !found->is_array()) return words;
  for (const nlohmann::json& word : *found) {
    if (word.is_string()) words.push_back(word.get<std::string>());
  }
  return words;
}

/// "KEYWORD A B" and a newline; "" without words.
std::string line_of(const char* keyword, const std::vector<std::string>& words) {
  if (words.empty()) return "";
  std::string line = keyword;
  for (const std::string& word : words) line += " " + word;
  return line + "\n";
}

}  // namespace

std::string resolver_text(const nlohmann::json& result) {
  if (!result.is_object()) return "";
  const auto dns = result.find("dns");
  if (dns == result.end() || !dns->is_object()) return "";
  std::string text;
  for (const std::string& server : words_of(*dns, "nameservers")) text += line_of("nameserver", {server});
  if (text.empty()) return "";
  return text + line_of("search", words_of(*dns, "search")) + line_of("options", words_of(*dns, "options"));
}

net::Result<void> write_resolver(const std::string& netns_name, const nlohmann::json& result) {
  const std::string text = resolver_text(result);
  if (text.empty()) return {};
  const std::string directory = directory_of(netns_name);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return net::failed_precondition(fmt::format("{}: {}", directory, error.message()));
  std::ofstream file(directory + "/resolv.conf");
  file << text << std::flush;
  if (!file) return failure(directory + "/resolv.conf", errno);
  return {};
}

net::Result<void> remove_resolver(const std::string& netns_name) {
  const std::string directory = directory_of(netns_name);
  const std::string file = directory + "/resolv.conf";
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) return failure(file, errno);
  // The directory stays when an administrator has more in it.
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY) return failure(directory, errno);
  return {};
}

net::Result<void> enter_resolver(const std::string& netns_name) {
  const std::string file = directory_of(netns_name) + "/resolv.conf";
  if (::access(file.c_str(), F_OK) != 0 || ::access(kResolver, F_OK) != 0) return {};
  if (::unshare(CLONE_NEWNS) != 0) return failure("a mount namespace", errno);
  // What is mounted here must not reach the others.
  if (::mount("", "/", "none", MS_SLAVE | MS_REC, nullptr) != 0) return failure("/", errno);
  if (::mount(file.c_str(), kResolver, "none", MS_BIND, nullptr) != 0) return failure(kResolver, errno);
  return {};
}

}  // namespace millrace::control::cli
