#include "cni-shim/environment.h"

#include <algorithm>
#include <array>
#include <climits>
#include <span>

#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

struct CommandName {
  Command command;
  std::string_view text;
};

constexpr std::array<CommandName, 6> kCommands = {{
    {Command::kAdd, "ADD"},
    {Command::kDel, "DEL"},
    {Command::kCheck, "CHECK"},
    {Command::kGc, "GC"},
    {Command::kStatus, "STATUS"},
    {Command::kVersion, "VERSION"},
}};

CniError invalid(std::string message) { return {CniCode::kInvalidEnvironment, std::move(message), ""}; }

std::span<const std::string_view> required_variables(Command command) noexcept {
  static constexpr std::array<std::string_view, 4> kAttachment = {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME",
                                                                  "CNI_PATH"};
  static constexpr std::array<std::string_view, 3> kDetachment = {"CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"};
  static constexpr std::array<std::string_view, 1> kCollection = {"CNI_PATH"};
  switch (command) {
    case Command::kAdd:
    case Command::kCheck: return kAttachment;
    case Command::kDel: return kDetachment;
    case Command::kGc: return kCollection;
    case Command::kStatus:
    case Command::kVersion: return {};
  }
  return {};
}

CniResult<Command> parse_command(const VariableLookup& lookup) {
  const std::string_view text = lookup("CNI_COMMAND").value_or("");
  if (text.empty()) return invalid("CNI_COMMAND is not set; allowed: ADD DEL CHECK GC STATUS VERSION");
  for (const CommandName& known : kCommands) {
    if (known.text == text) return known.command;
  }
  return invalid("CNI_COMMAND is " + shown(text) + "; allowed: ADD DEL CHECK GC STATUS VERSION");
}

std::optional<CniError> check_ifname(std::string_view name) {
  if (name.size() > kMaxIfnameBytes) {
    return invalid("CNI_IFNAME " + shown(name) + " is longer than " + std::to_string(kMaxIfnameBytes) + " bytes");
  }
  const bool bad_character = name.find_first_of("/: ") != std::string_view::npos || !is_plain_utf8(name);
  if (name == "." || name == ".." || bad_character) {
    return invalid("CNI_IFNAME " + shown(name) +
                   " is not an interface name; '.', '..', '/', ':', spaces and control characters are not allowed");
  }
  return std::nullopt;
}

std::optional<CniError> check_netns(std::string_view netns) {
  if (netns.empty()) return std::nullopt;
  if (netns.front() == '/' && netns.size() < PATH_MAX && is_plain_utf8(netns)) return std::nullopt;
  return invalid("CNI_NETNS " + shown(netns) + " is not an absolute path of less than " + std::to_string(PATH_MAX) +
                 " bytes");
}

std::optional<CniError> check(const Environment& environment) {
  const bool attachment = environment.command == Command::kAdd || environment.command == Command::kDel ||
                          environment.command == Command::kCheck;
  if (!attachment) return std::nullopt;
  if (!is_cni_name(environment.container_id)) {
    return invalid("CNI_CONTAINERID " + shown(environment.container_id) +
                   " must begin with a letter or digit, go on with letters, digits, '_', '.', '-', and have at most " +
                   std::to_string(kMaxNameBytes) + " characters");
  }
  if (auto error = check_ifname(environment.ifname)) return error;
  return check_netns(environment.netns);
}

}  // namespace

std::string_view text_of(Command command) noexcept { return kCommands[static_cast<std::size_t>(command)].text; }

bool is_cni_name(std::string_view text) noexcept {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (text.empty() || text.size() > kMaxNameBytes || !is_alphanumeric(text.front())) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

CniResult<Environment> parse_environment(const VariableLookup& lookup) {
  const auto command = parse_command(lookup);
  if (!command) return command.error();
  Environment environment;
  environment.command = *command;
  if (*command == Command::kVersion) return environment;

  std::string missing;
  for (const std::string_view name : required_variables(*command)) {
    if (lookup(name).value_or("").empty()) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (!missing.empty()) return invalid(missing + " must be set for " + std::string(text_of(*command)));

  const std::array<std::pair<std::string_view, std::string*>, 5> variables = {{
      {"CNI_CONTAINERID", &environment.container_id},
      {"CNI_NETNS", &environment.netns},
      {"CNI_IFNAME", &environment.ifname},
      {"CNI_PATH", &environment.path},
      {"CNI_ARGS", &environment.args},
  }};
  for (const auto& [name, member] : variables) {
    const std::string_view text = lookup(name).value_or("");
    if (text.size() > kMaxVariableBytes) {
      return invalid(std::string(name) + " is longer than " + std::to_string(kMaxVariableBytes) + " bytes");
    }
    *member = text;
  }
  if (auto error = check(environment)) return *error;
  return environment;
}

}  // namespace millrace::cni_shim
