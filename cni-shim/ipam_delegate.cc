#include "cni-shim/ipam_delegate.h"

#include <sys/stat.h>
#include <unistd.h>

#include "cni-shim/child_process.h"
#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

constexpr std::string_view kCommandVariable = "CNI_COMMAND=";

/// The first executable file of that name; empty when there is none. Relative directories are not searched: the
/// working directory is the runtime's and no place for plugins.
std::string find_plugin(const std::string& plugin, std::string_view cni_path) {
  for (const std::string_view directory : split(cni_path, ':')) {
    if (!directory.starts_with('/')) continue;
    std::string file = std::string(directory) + "/" + plugin;
    struct stat status {};
    if (::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

}  // namespace

IpamDelegate::IpamDelegate(std::string plugin, std::string_view cni_path, std::vector<std::string> variables,
                           std::string_view stdin_text)
    : plugin_(std::move(plugin)),
      file_(find_plugin(plugin_, cni_path)),
      variables_(std::move(variables)),
      stdin_text_(stdin_text) {
  std::erase_if(variables_, [](const std::string& variable) { return variable.starts_with(kCommandVariable); });
}

CniResult<std::string> IpamDelegate::run(Command command) {
  if (file_.empty()) {
    return CniError{CniCode::kInvalidEnvironment, "CNI_PATH has no IPAM plugin " + shown(plugin_), ""};
  }
  std::vector<std::string> variables = variables_;
  variables.push_back(std::string(kCommandVariable) + std::string(text_of(command)));
  auto outcome = run_child(file_, variables, stdin_text_, kIpamTimeout);
  if (!outcome) return outcome.error();
  if (outcome->exit_status != 0) return parse_ipam_error(outcome->output, plugin_, outcome->exit_status);
  return std::move(outcome->output);
}

CniResult<IpamResult> IpamDelegate::add() {
  const auto output = run(Command::kAdd);
  if (!output) return output.error();
  auto result = parse_ipam_result(*output, plugin_);
  // The plugin holds addresses we cannot read: it must give them back before we fail.
  if (!result) (void)run(Command::kDel);
  return result;
}

CniResult<void> IpamDelegate::forward(Command command) {
  const auto output = run(command);
  if (!output) return output.error();
  return {};
}

}  // namespace millrace::cni_shim
