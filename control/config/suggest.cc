#include "control/config/suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "control/config/schema.h"

namespace millrace::control::config {

namespace {

constexpr std::size_t kNameLimit = 64;  // no key is longer; keeps the table small

/// Lower case without '_' and '-': node_name, node-name and NodeName all are nodename.
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '_' || c == '-') continue;
    out += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// Every key and section, as full paths.
std::vector<std::string> all_paths() {
  std::vector<std::string> paths;
  for (const Key& key : schema()) {
    for (std::size_t dot = key.path.find('.');; dot = key.path.find('.', dot + 1)) {
      std::string path(key.path.substr(0, dot));
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
      if (dot == std::string_view::npos) break;
    }
  }
  return paths;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

std::string nearest_key(std::string_view section, std::string_view name) {
  const std::string wanted = folded(name);
  if (wanted.empty() || wanted.size() > kNameLimit) return "";
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  std::string elsewhere;
  for (const std::string& path : all_paths()) {
    const std::size_t dot = path.rfind('.');
    const std::string_view parent = dot == std::string::npos ? "" : std::string_view(path).substr(0, dot);
    const std::string leaf = folded(dot == std::string::npos ? path : path.substr(dot + 1));
    if (parent == section) {
      const std::size_t distance = edit_distance(wanted, leaf);
      if (distance < best_distance) {
        best = path;
        best_distance = distance;
      }
    } else if (elsewhere.empty() && (leaf == wanted || folded(path) == wanted)) {
      elsewhere = path;
    }
  }
  return best.empty() ? elsewhere : best;
}

}  // namespace millrace::control::config
