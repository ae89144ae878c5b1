#include "control/kube/yaml_reader.h"

#include <algorithm>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "control/config/values.h"
#include "control/config/yaml_text.h"

namespace millrace::control::kube {
namespace {

using config::shown;

int line_of(const YAML::Mark& mark) { return std::max(0, mark.line) + 1; }

/// A refusal with the sentence's second half.
[[noreturn]] void refuse(const YAML::Mark& mark, std::string_view wrong, std::string_view allowed) {
  throw YAML::ParserException(mark, fmt::format("{}; allowed: {}", wrong, allowed));
}

std::size_t count_of(const Value& value) {
  std::size_t count = 1;
  for (const Value::Entry& entry : value.entries) count += count_of(entry.value);
  return count;
}

/// Builds a tree from yaml-cpp's events: no graph of nodes is made on the way, which matters for files of megabytes.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(std::size_t text_bytes) : read_limit_(kValuesPerByte * (text_bytes + 1)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, plain_scalar("", line_of(mark)), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const bool is_text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!is_text && !tag.empty() && tag != "?") refuse(mark, "has a YAML tag " + shown(tag), "!!str, or none");
    if (is_key_next()) return key(mark, text);
    if (!is_text) return add(mark, plain_scalar(text, line_of(mark)), anchor);
    Value value;
    value.type = Value::Type::kText;
    value.line = line_of(mark);
    value.text = text;
    add(mark, std::move(value), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "an alias in the value of its own anchor", "aliases to what is complete");
    count_ += count_of(found->second) - 1;
    if (count_ > kValueLimit) refuse(mark, "too many values", fmt::format("{}", kValueLimit));
    add(mark, found->second, 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Value::Type::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Value::Type::kMap);
  }
  void OnMapEnd() override { close(); }

  std::vector<Value> take() { return std::move(documents_); }

 private:
  struct Open {
    Value value;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  // of a map: the last entry waits for its value
    int key_line = 0;
    YAML::Mark mark;
  };

  bool is_key_next() const { return !open_.empty() && open_.back().value.is_map() && !open_.back().has_key; }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Value::Type type) {
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "has a YAML tag " + shown(tag), "none");
    if (is_key_next()) refuse(mark, "a key is not text", "text");
    if (open_.size() >= kDepthLimit) refuse(mark, "is nested too deeply", fmt::format("{} levels", kDepthLimit));
    Open& opened = open_.emplace_back();
    opened.value.type = type;
    opened.value.line = line_of(mark);
    opened.anchor = anchor;
    opened.mark = mark;
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    add(closed.mark, std::move(closed.value), closed.anchor);
  }

  void key(const YAML::Mark& mark, const std::string& text) {
    Open& map = open_.back();
    // Long maps are rare, and the first equal key ends the reading: a search is cheaper than a set a map.
    for (const Value::Entry& entry : map.value.entries) {
      if (entry.key == text) refuse(mark, fmt::format("the key {} is there twice", shown(text)), "each key once");
    }
    if (map.value.entries.size() >= kMapLimit) {
      refuse(mark, "too many keys in one map", fmt::format("{}", kMapLimit));
    }
    map.value.entries.push_back({text, {}});
    map.has_key = true;
    map.key_line = line_of(mark);
  }

  void add(const YAML::Mark& mark, Value value, YAML::anchor_t anchor) {
    if (++count_ > kValueLimit) refuse(mark, "too many values", fmt::format("{}", kValueLimit));
    // At a comma outside of every [] and {} yaml-cpp stays where it is and tells nulls for ever.
    if (++read_ > read_limit_) throw YAML::ParserException(mark, "a comma that belongs to nothing");
    if (is_key_next()) {
      if (value.is_null()) return key(mark, value.text);
      refuse(mark, "an alias in the place of a key", "text");
    }
    if (anchor != 0) anchors_[anchor] = value;
    if (open_.empty()) {
      if (!value.is_null()) documents_.push_back(std::move(value));
      anchors_.clear();
      return;
    }
    Open& parent = open_.back();
    if (!parent.value.is_map()) {
      parent.value.entries.push_back({"", std::move(value)});
      return;
    }
    // An error of a value is looked for where its key stands.
    if (value.is_null() || !value.entries.empty() || value.line < parent.key_line) value.line = parent.key_line;
    parent.value.entries.back().value = std::move(value);
    parent.has_key = false;
  }

  static constexpr std::size_t kMapLimit = 4096;
  /// One character can be three: "?" is a map with a key and a value that are null.
  static constexpr std::size_t kValuesPerByte = 3;

  std::vector<Value> documents_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Value> anchors_;
  std::size_t count_ = 0;  // with the copies that aliases make
  std::size_t read_ = 0;   // without them
  std::size_t read_limit_;
};

}  // namespace

net::Result<std::vector<Value>> read_yaml(const std::string& text, const std::string& file) {
  if (text.size() > kManifestLimitBytes) {
    return net::invalid_argument(fmt::format("{}: the file is too long; allowed: {} bytes", file, kManifestLimitBytes));
  }
  if (const int line = config::control_character_line(text); line != 0) {
    return net::invalid_argument(fmt::format("{}:{}: control character; allowed: text in UTF-8", file, line));
  }
  if (const int line = config::bad_utf8_line(text); line != 0) {
    return net::invalid_argument(fmt::format("{}:{}: not UTF-8; allowed: text in UTF-8", file, line));
  }
  Builder builder(text.size());
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {}
  } catch (const YAML::Exception& error) {
    const int line = line_of(error.mark);
    if (config::is_indented_by_tab(text, line)) {
      return net::invalid_argument(
          fmt::format("{}:{}: not YAML: a tab in the indentation; allowed: spaces", file, line));
    }
    const bool is_ours = error.msg.find("; allowed: ") != std::string::npos;
    if (is_ours) return net::invalid_argument(fmt::format("{}:{}: {}", file, line, error.msg));
    return net::invalid_argument(fmt::format("{}:{}: not YAML: {}", file, line, config::printable(error.msg)));
  }
  return builder.take();
}

}  // namespace millrace::control::kube
