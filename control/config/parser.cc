// load() and parse(): walks the file along the schema. The walk visits known keys only and goes no deeper than they do,
// so neither aliases nor nesting in a hostile file cost more than its size.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>

#include "control/config/checks.h"
#include "control/config/schema.h"
#include "control/config/suggest.h"
#include "control/config/values.h"
#include "control/config/yaml_text.h"

namespace millrace::control::config {

namespace {

class Walk {
 public:
  Walk(std::string file, Config& config) : file_(std::move(file)), config_(config) {}

  void root(const YAML::Node& node) {
    if (node.IsNull()) return;
    if (!node.IsMap()) { return fail(line_of(node), "", "the file is not a map of keys", joined(children(""), ", ")); }
    section(node, "");
    if (errors_.empty()) rules();
  }

  void fail(int line, std::string_view key, std::string_view wrong, std::string_view allowed) {
    std::string message = fmt::format("{}:{}: ", file_, line);
    if (!key.empty()) message += fmt::format("{}: ", key);
    message += wrong;
    if (!allowed.empty()) message += fmt::format("; allowed: {}", allowed);
    errors_.emplace_back(line, std::move(message));
  }

  /// Every error in the order of the lines, "" when there is none.
  std::string errors() {
    std::ranges::stable_sort(errors_, {}, &std::pair<int, std::string>::first);
    std::string out;
    for (std::size_t i = 0; i < errors_.size(); ++i) {
      if (i == kErrorLimit) return out + fmt::format("\n{}: and {} more errors", file_, errors_.size() - i);
      if (i != 0) out += '\n';
      out += errors_[i].second;
    }
    return out;
  }

  static int line_of(const YAML::Node& node) { return std::max(0, node.Mark().line) + 1; }

 private:
  static std::string below(const std::string& section, std::string_view name) {
    return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
  }

  /// Names right below `section` ("" is the root), in the schema's order.
  static std::vector<std::string_view> children(const std::string& section) {
    std::vector<std::string_view> names;
    for (const Key& key : schema()) {
      std::string_view rest = key.path;
      if (!section.empty()) {
        if (!rest.starts_with(section + ".")) continue;
        rest.remove_prefix(section.size() + 1);
      }
      const std::string_view name = rest.substr(0, rest.find('.'));
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    return names;
  }

  void section(const YAML::Node& map, const std::string& path) {
    const std::vector<std::string_view> known = children(path);
    std::set<std::string> seen;
    std::vector<std::pair<std::string, YAML::Node>> entries;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) {
        fail(line_of(entry.first), path, "a key is not text", joined(known, ", "));
        continue;
      }
      const std::string& name = entry.first.Scalar();
      const std::string full = below(path, name);
      if (std::ranges::find(known, name) == known.end()) {
        unknown(line_of(entry.first), path, name, known);
      } else if (!seen.insert(name).second) {
        fail(line_of(entry.first), full, fmt::format("is there twice, first in line {}", lines_[full]),
             "each key once");
      } else {
        lines_[full] = line_of(entry.first);
        entries.emplace_back(full, entry.second);
      }
    }
    // In the schema's order: a pool is read before its block length, whatever their order in the file.
    for (const std::string_view name : known) {
      for (const auto& [full, node] : entries) {
        if (full == below(path, name)) value(full, node);
      }
    }
  }

  void value(const std::string& path, const YAML::Node& node) {
    const auto key = std::ranges::find(schema(), path, &Key::path);
    if (key == schema().end()) {
      if (node.IsNull()) return;  // a section whose keys are all commented out
      if (!node.IsMap()) {
        return fail(lines_[path], path, node.IsSequence() ? "is a list, not a map of keys" : "is not a map of keys",
                    joined(children(path), ", "));
      }
      return section(node, path);
    }
    const std::string& tag = node.Tag();
    const std::string wrong =
        (tag.empty() || tag == "?" || tag == "!") ? key->read(node, config_) : "has a YAML tag, which no key takes";
    if (!wrong.empty())
      fail(node.IsNull() ? lines_[path] : std::max(lines_[path], line_of(node)), path, wrong, key->allowed);
  }

  void unknown(int line, const std::string& path, const std::string& name, const std::vector<std::string_view>& known) {
    const std::string full = below(path, name);
    const std::string meant = nearest_key(path, name);
    const std::string hint = meant.empty() ? "" : fmt::format(", is {} meant?", meant);
    const std::string text = shown(full);
    fail(line, std::string_view(text).substr(1, text.size() - 2), "unknown key" + hint, joined(known, ", "));
  }

  void rules() {
    for (const Violation& violation : check_rules(config_)) {
      const auto blamed =
          std::ranges::find_if(violation.keys, [&](auto key) { return lines_.contains(std::string(key)); });
      // The defaults keep every rule, so one of the keys is in the file.
      if (blamed == violation.keys.end()) continue;
      fail(lines_[std::string(*blamed)], *blamed, violation.wrong, violation.allowed);
    }
  }

  std::string file_;
  Config& config_;
  std::map<std::string, int> lines_;
  std::vector<std::pair<int, std::string>> errors_;
};

Config defaults() {
  Config config;
  config.node_name = default_node_name();
  for (const Key& key : schema()) {
    if (key.fallback.empty()) continue;
    [[maybe_unused]] const std::string wrong = key.read(YAML::Load(std::string(key.fallback)), config);
    assert(wrong.empty());
  }
  return config;
}

/// The text, or an error that needs no line.
net::Result<std::string> read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const std::string message = fmt::format("{}: cannot be read: {}", path, std::strerror(errno));
    return errno == ENOENT ? net::not_found(message) : net::invalid_argument(message);
  }
  std::string text(kFileLimitBytes + 1, '\0');
  std::size_t length = 0;
  ssize_t got = 1;
  while (got > 0 && length < text.size()) {
    got = read(fd, text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR)
      got = 1;
    else if (got > 0)
      length += static_cast<std::size_t>(got);
  }
  const int read_error = errno;
  close(fd);
  if (got < 0) return net::invalid_argument(fmt::format("{}: cannot be read: {}", path, std::strerror(read_error)));
  text.resize(length);
  return text;
}

}  // namespace

net::Result<Config> parse(const std::string& text, const std::string& file) {
  if (text.size() > kFileLimitBytes) {
    return net::invalid_argument(fmt::format("{}: the file is too long; allowed: {} bytes", file, kFileLimitBytes));
  }
  Config config = defaults();
  config.file = file;
  Walk walk(file, config);
  if (const int line = control_character_line(text); line != 0) {
    walk.fail(line, "", "control character", "text in UTF-8");
    return net::invalid_argument(walk.errors());
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      walk.fail(Walk::line_of(documents[1]), "", "a second YAML document", "one document");
    } else if (!documents.empty()) {
      walk.root(documents[0]);
    }
  } catch (const YAML::Exception& error) {
    const int line = std::max(0, error.mark.line) + 1;
    if (is_indented_by_tab(text, line)) {
      walk.fail(line, "", "not YAML: a tab in the indentation", "spaces");
    } else {
      walk.fail(line, "", fmt::format("not YAML: {}", printable(error.msg)), "");
    }
  }
  if (std::string errors = walk.errors(); !errors.empty()) return net::invalid_argument(std::move(errors));
  return config;
}

std::vector<net::IpAddress> Config::dns_servers() const {
  constexpr std::uint8_t kTenth = 10;
  if (!dns.servers.empty()) return dns.servers;
  for (const auto& range : {services.ipv4, services.ipv6}) {
    if (!range) continue;
    net::IpAddress server = range->address;
    server.bytes[server.raw().size() - 1] |= kTenth;  // a range has at least 16 addresses
    return {server};
  }
  return {};
}

net::Result<Config> load(const std::string& path) {
  const std::string file = path.empty() ? kDefaultPath : path;
  auto text = read_file(file);
  if (!text) {
    if (path.empty() && text.error().code == net::ErrorCode::kNotFound) return defaults();
    return net::invalid_argument(text.error().message);
  }
  return parse(*text, file);
}

}  // namespace millrace::control::config
