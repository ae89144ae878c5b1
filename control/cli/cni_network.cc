#include "control/cli/cni_network.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>

namespace millrace::control::cli {

namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view kFirstVersionWithDelResult = "0.4.0";

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// The lexically first configuration of a directory.
net::Result<std::string> first_file(const std::string& directory) {
  std::error_code error;
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string extension = entry.path().extension();
    if (extension == ".conflist" || extension == ".conf" || extension == ".json") files.insert(entry.path());
  }
  if (error) return net::invalid_argument(fmt::format("{}: cannot be read: {}", directory, error.message()));
  if (files.empty()) return net::invalid_argument(fmt::format("{}: no *.conflist, *.conf or *.json in it", directory));
  return *files.begin();
}

}  // namespace

CniNetwork CniNetwork::own(const std::string& agent_socket) {
  CniNetwork network;
  network.name_ = "millrace";
  network.version_ = "1.0.0";
  network.list_ = {{"cniVersion", network.version_},
                   {"name", network.name_},
                   {"plugins", Json::array({{{"type", "millrace-cni"},
                                             {"agentSocket", agent_socket},
                                             {"capabilities", {{"ips", true}, {"mac", true}}}}})}};
  return network;
}

net::Result<CniNetwork> CniNetwork::load(const std::string& path) {
  std::string file = path;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    auto first = first_file(path);
    if (!first) return first.error();
    file = *first;
  }
  std::ifstream stream(file);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) return net::invalid_argument(fmt::format("{}: cannot be read", file));
  return parse(text, file);
}

net::Result<CniNetwork> CniNetwork::parse(const std::string& text, const std::string& file) {
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) return net::invalid_argument(fmt::format("{}: not a JSON object", file));
  CniNetwork network;
  network.name_ = text_of(root, "name");
  network.version_ = text_of(root, "cniVersion");
  if (network.name_.empty()) return net::invalid_argument(fmt::format("{}: name: is missing; allowed: text", file));
  if (network.version_.empty()) {
    return net::invalid_argument(fmt::format("{}: cniVersion: is missing; allowed: 0.3.1 to 1.1.0", file));
  }
  network.list_ = root;
  if (!root.contains("plugins")) {
    network.list_ = {{"cniVersion", network.version_}, {"name", network.name_}, {"plugins", Json::array({root})}};
  }
  const Json& plugins = network.list_["plugins"];
  if (!plugins.is_array() || plugins.empty()) {
    return net::invalid_argument(fmt::format("{}: plugins: allowed: a list of at least one plugin", file));
  }
  for (const Json& plugin : plugins) {
    if (!plugin.is_object() || text_of(plugin, "type").empty()) {
      return net::invalid_argument(fmt::format("{}: plugins: each is an object with a type", file));
    }
  }
  return network;
}

Json CniNetwork::plugin_config(const Json& plugin, const Json& capability_arguments, const Json& previous) const {
  Json config = plugin;
  config["cniVersion"] = version_;
  config["name"] = name_;
  Json arguments = Json::object();
  const auto declared = plugin.find("capabilities");
  for (const auto& [capability, value] : capability_arguments.items()) {
    const bool wanted =
        declared != plugin.end() && declared->is_object() && declared->value(capability, Json()) == true;
    if (wanted) arguments[capability] = value;
  }
  config.erase("capabilities");
  if (!arguments.empty()) config["runtimeConfig"] = std::move(arguments);
  if (!previous.is_null()) config["prevResult"] = previous;
  return config;
}

net::Result<void> CniNetwork::check_plugins(const std::string& plugin_path) const {
  for (const Json& plugin : list_["plugins"]) {
    if (auto found = find_plugin(text_of(plugin, "type"), plugin_path); !found) return found.error();
  }
  return {};
}

net::Result<Json> CniNetwork::add(const CniAttachment& attachment, const Json& capability_arguments) const {
  Json result;
  for (const Json& plugin : list_["plugins"]) {
    auto answer = run_plugin("ADD", attachment, plugin_config(plugin, capability_arguments, result));
    if (!answer) return answer.error();
    if (!answer->is_object()) {
      return net::failed_precondition(fmt::format("{} ADD: it printed no result", text_of(plugin, "type")));
    }
    result = std::move(*answer);
  }
  return result;
}

net::Result<void> CniNetwork::remove(const CniAttachment& attachment, const Json& capability_arguments,
                                     const Json& result) const {
  net::Result<void> outcome;
  const Json previous = version_ >= kFirstVersionWithDelResult ? result : Json();
  const Json& plugins = list_["plugins"];
  for (auto plugin = plugins.rbegin(); plugin != plugins.rend(); ++plugin) {
    auto answer = run_plugin("DEL", attachment, plugin_config(*plugin, capability_arguments, previous));
    if (!answer && outcome.ok()) outcome = answer.error();
  }
  return outcome;
}

}  // namespace millrace::control::cli
