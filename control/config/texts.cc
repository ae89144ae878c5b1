// The texts about the configuration, all made from the schema.
#include <algorithm>

#include <fmt/format.h>

#include "control/config/schema.h"

namespace millrace::control::config {

namespace {

constexpr std::size_t kWrapColumns = 78;

std::string wrapped(std::string_view text, std::size_t indent) {
  const std::string margin(indent, ' ');
  std::string out, line;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWrapColumns) {
      out += margin + line + "\n";
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return out + margin + line + "\n";
}

/// '|' would end a cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

/// roff: a backslash, and a dot or quote that begins a line, mean something else; `code` becomes bold.
std::string roff(std::string_view text) {
  std::string out;
  bool bold = false;
  for (const char c : text) {
    if (c == '`') {
      bold = !bold;
      out += bold ? "\\fB" : "\\fR";
    } else if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

/// The schema as a YAML file with every key at its default.
std::string example() {
  std::string out;
  std::vector<std::string> open;
  for (const Key& key : schema()) {
    std::vector<std::string> parts;
    for (std::string_view rest = key.path;;) {
      const std::size_t dot = rest.find('.');
      parts.emplace_back(rest.substr(0, dot));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    std::size_t same = 0;
    while (same < open.size() && same + 1 < parts.size() && open[same] == parts[same]) ++same;
    open.assign(parts.begin(), parts.end() - 1);
    for (std::size_t depth = same; depth + 1 < parts.size(); ++depth) {
      out += fmt::format("{:{}}{}:\n", "", depth * 2, parts[depth]);
    }
    const bool comment = key.fallback.empty();
    out += fmt::format("{}{:{}}{}:{}\n", comment ? "# " : "", "", (parts.size() - 1) * 2, parts.back(),
                       comment ? "" : fmt::format(" {}", key.fallback));
  }
  return out;
}

}  // namespace

std::string help_text() {
  std::string out = fmt::format("CONFIGURATION FILE ({}, or --config FILE), YAML, every key optional:\n", kDefaultPath);
  for (const Key& key : schema()) {
    out += fmt::format("  {} ({}, default {})\n", key.path, key.type, key.fallback_text());
    out += wrapped(key.text, 6);
    out += wrapped(fmt::format("Allowed: {}", key.allowed), 6);
  }
  return out;
}

std::string markdown_text() {
  std::string out = fmt::format(
      "# Configuration\n\n"
      "<!-- Made by `millrace config docs` from control/config/schema.cc; a test compares the two. -->\n\n"
      "Both daemons and the command line read one YAML file: `--config FILE`, else the file that `MILLRACE_CONFIG` "
      "names,\n"
      "else `{}`, which need not exist. Every key is optional. A file with an unknown key, a wrong type or an\n"
      "impossible value is refused as a whole, with file, line, key and what is allowed; `millrace config check` says "
      "the\n"
      "same without starting anything. Integers are decimal. The file has at most {} bytes.\n\n"
      "| key | type | default | allowed |\n|---|---|---|---|\n",
      kDefaultPath, kFileLimitBytes);
  for (const Key& key : schema()) {
    const std::string fallback = key.fallback.empty() ? key.fallback_text() : fmt::format("`{}`", key.fallback);
    out += fmt::format("| `{}` | {} | {} | {} |\n", key.path, key.type, cell(fallback), cell(key.allowed));
  }
  out += "\n## What they do\n\n";
  for (const Key& key : schema()) out += fmt::format("- **`{}`**: {}\n", key.path, key.text);
  out += "\n## Every key at its default\n\n```yaml\n" + example() + "```\n";
  return out;
}

std::string man_text() {
  std::string out;
  for (const Key& key : schema()) {
    out +=
        fmt::format(".TP\n\\fB{}\\fR (\\fI{}\\fR, default {})\n", roff(key.path), key.type, roff(key.fallback_text()));
    out += roff(key.text) + "\n.br\n" + roff(fmt::format("Allowed: {}.", key.allowed)) + "\n";
  }
  return out;
}

}  // namespace millrace::control::config
