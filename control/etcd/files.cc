#include "control/etcd/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace millrace::control::etcd {

net::Result<std::string> read_file(const std::string& what, const std::string& path) {
  const auto refused = [&](const char* why) {
    return net::invalid_argument(fmt::format("{} {}: {}", what, path, why));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return refused(std::strerror(errno));
  std::string text(kFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return refused(std::strerror(errno));
  if (text.size() > kFileBytes) return refused("larger than 1 MiB");
  if (text.empty()) return refused("empty");
  return text;
}

net::Result<std::string> read_password(const std::string& path) {
  auto text = read_file("etcd.passwordFile", path);
  if (!text) return text;
  text->resize(std::min(text->find_first_of("\r\n"), text->size()));
  if (text->empty()) return net::invalid_argument(fmt::format("etcd.passwordFile {}: its first line is empty", path));
  return text;
}

}  // namespace millrace::control::etcd
