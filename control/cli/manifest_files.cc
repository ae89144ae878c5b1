#include "control/cli/manifest_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "control/kube/yaml_reader.h"

namespace millrace::control::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStandardInput = "-";

net::Result<std::string> read_all(std::istream& stream, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  while (stream.read(buffer, sizeof buffer) || stream.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(stream.gcount()));
    if (text.size() > kube::kManifestLimitBytes) break;  // the reader refuses it with its own sentence
  }
  if (stream.bad()) return net::invalid_argument(fmt::format("{}: cannot be read: {}", name, std::strerror(errno)));
  return text;
}

net::Result<std::vector<std::string>> files_of(const std::string& path) {
  if (path == kStandardInput) return std::vector{path};
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) return net::not_found(fmt::format("{}: there is no such file or directory", path));
  if (!fs::is_directory(status)) return std::vector{path};
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path, failed)) {
    const std::string suffix = entry.path().extension();
    if (suffix != ".yaml" && suffix != ".yml" && suffix != ".json") continue;
    if (entry.is_regular_file(failed)) files.push_back(entry.path());
  }
  if (failed) return net::invalid_argument(fmt::format("{}: cannot be read: {}", path, failed.message()));
  if (files.empty()) return net::not_found(fmt::format("{}: no .yaml, .yml or .json file is in it", path));
  std::ranges::sort(files);
  return files;
}

net::Result<kube::Manifests> read_one(const std::string& file, const kube::ManifestOptions& options) {
  if (file == kStandardInput) {
    auto text = read_all(std::cin, "standard input");
    if (!text) return text.error();
    return kube::parse_manifests(*text, "stdin", options);
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return net::invalid_argument(fmt::format("{}: cannot be read: {}", file, std::strerror(errno)));
  auto text = read_all(stream, file);
  if (!text) return text.error();
  return kube::parse_manifests(*text, file, options);
}

}  // namespace

net::Result<kube::Manifests> read_manifests(const std::vector<std::string>& paths,
                                            const kube::ManifestOptions& options) {
  kube::Manifests all;
  std::string errors;
  std::map<kube::ObjectKey, std::string> files_of_objects;
  for (const std::string& path : paths) {
    auto files = files_of(path);
    if (!files) return files.error();
    for (const std::string& file : *files) {
      auto read = read_one(file, options);
      if (!read) {
        errors += (errors.empty() ? "" : "\n") + read.error().message;
        continue;
      }
      for (kube::Manifest& manifest : read->objects) {
        const kube::ObjectKey key = kube::key_of(manifest.object);
        const auto [there, is_new] = files_of_objects.emplace(key, file);
        if (!is_new) {
          errors += fmt::format("{}{}: {} is in {}, too; allowed: each object once", errors.empty() ? "" : "\n", file,
                                kube::to_string(key), there->second);
        }
        all.objects.push_back(std::move(manifest));
      }
      all.skipped.insert(all.skipped.end(), read->skipped.begin(), read->skipped.end());
    }
  }
  if (!errors.empty()) return net::invalid_argument(errors);
  return all;
}

}  // namespace millrace::control::cli
