/// millrace-cni: the CNI plugin. Reads one request from the environment and stdin, has it carried out, prints one
/// answer.

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/commands.h"
#include "cni-shim/request.h"

namespace {

using millrace::cni_shim::CniCode;
using millrace::cni_shim::CniError;
using millrace::cni_shim::CniResult;

constexpr std::string_view kUsage =
    "millrace-cni " MILLRACE_VERSION
    ", the CNI plugin of Millrace (CNI 0.3.1, 0.4.0, 1.0.0, 1.1.0).\n"
    "A container runtime runs it with CNI_COMMAND and its fellows set and a network configuration on stdin.\n";

std::optional<std::string_view> variable(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

/// Stops one byte behind the limit, so that the parser sees that it was passed.
CniResult<std::string> read_stdin() {
  std::string text;
  char buffer[16384];
  while (text.size() <= millrace::cni_shim::kMaxJsonBytes) {
    const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return CniError{CniCode::kIoFailure, "stdin cannot be read", ""};
    if (count == 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

bool print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

int refuse(const CniError& error, const std::string& cni_version) {
  print(millrace::cni_shim::render_error(error, cni_version));
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const std::string_view option = argv[1];
    const bool asked = option == "--help" || option == "--version";
    std::fwrite(kUsage.data(), 1, kUsage.size(), asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const auto text = read_stdin();
  if (!text) return refuse(text.error(), std::string(millrace::cni_shim::kNewestSpecVersion));
  const auto request = millrace::cni_shim::parse_request(variable, *text);
  if (!request) return refuse(request.error().error, request.error().cni_version);

  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  const auto output = millrace::cni_shim::run_command(*request, *text, variables);
  if (!output) return refuse(output.error(), request->cni_version);
  return print(*output) ? EXIT_SUCCESS : EXIT_FAILURE;
}
