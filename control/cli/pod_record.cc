#include "control/cli/pod_record.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "control/cli/pod_netns.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::json;

std::string directory(const config::Config& config) { return config.runtime_dir + "/pods"; }
std::string file_of(const config::Config& config, const std::string& netns) {
  return fmt::format("{}/{}.json", directory(config), netns);
}

}  // namespace

CniAttachment PodRecord::attachment() const {
  return {.container_id = netns, .netns = netns_path(netns), .args = args, .path = plugin_path};
}

std::optional<PodRecord> read_pod_record(const config::Config& config, const std::string& netns) {
  std::ifstream stream(file_of(config, netns));
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    auto network = CniNetwork::parse(json.at("conflist").dump(), file_of(config, netns));
    if (!network) return std::nullopt;
    return PodRecord{.name_space = json.at("namespace"),
                     .name = json.at("name"),
                     .netns = netns,
                     .network = std::move(*network),
                     .args = json.at("cni_args"),
                     .plugin_path = json.at("cni_path"),
                     .result = json.at("result")};
  } catch (const Json::exception&) { return std::nullopt; }
}

net::Result<void> write_pod_record(const config::Config& config, const PodRecord& record) {
  const Json json = {{"namespace", record.name_space},    {"name", record.name},
                     {"conflist", record.network.list()}, {"cni_args", record.args},
                     {"cni_path", record.plugin_path},    {"result", record.result}};
  std::error_code error;
  std::filesystem::create_directories(directory(config), error);
  const std::string file = file_of(config, record.netns), temporary = file + ".new";
  std::ofstream stream(temporary, std::ios::trunc);
  stream << json.dump(2) << '\n';
  stream.close();
  if (!stream || std::rename(temporary.c_str(), file.c_str()) != 0) {
    return net::failed_precondition(fmt::format("{}: cannot be written: {}", file, std::strerror(errno)));
  }
  return {};
}

void delete_pod_record(const config::Config& config, const std::string& netns) {
  std::error_code error;
  std::filesystem::remove(file_of(config, netns), error);
}

}  // namespace millrace::control::cli
