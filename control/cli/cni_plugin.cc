#include "control/cli/cni_plugin.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include <fmt/format.h>

#include "control/cli/process.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kAnswerLimitBytes = 1 << 20;
constexpr int kTryAgainLater = 11;  // CNI specification, section 5

/// Memory that a child can have as its stdin or stdout: no pipe to fill up, nothing on a disk.
UniqueFd memory_file(const std::string& text) {
  UniqueFd fd(::memfd_create("millrace-cni", MFD_CLOEXEC));
  for (std::size_t done = 0; fd && done < text.size();) {
    const ssize_t wrote = ::write(fd.get(), text.data() + done, text.size() - done);
    if (wrote <= 0)
      fd.reset();
    else
      done += static_cast<std::size_t>(wrote);
  }
  if (fd) ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string contents(const UniqueFd& fd) {
  std::string text(kAnswerLimitBytes, '\0');
  std::size_t length = 0;
  ssize_t got = 1;
  while (got > 0 && length < text.size()) {
    got = ::pread(fd.get(), text.data() + length, text.size() - length, static_cast<off_t>(length));
    if (got > 0) length += static_cast<std::size_t>(got);
  }
  text.resize(length);
  return text;
}

std::vector<std::string> environment_of(const std::string& command, const CniAttachment& attachment) {
  const char* path = std::getenv("PATH");
  std::vector<std::string> out = {"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + attachment.container_id,
                                  "CNI_IFNAME=" + attachment.ifname, "CNI_PATH=" + attachment.path,
                                  fmt::format("PATH={}", path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin")};
  if (!attachment.netns.empty()) out.push_back("CNI_NETNS=" + attachment.netns);
  if (!attachment.args.empty()) out.push_back("CNI_ARGS=" + attachment.args);
  return out;
}

net::Error failure(const std::string& what, const Process::End& end, const Json& answer, std::string error_text) {
  if (answer.is_object() && answer.contains("code") && answer["code"].is_number_integer()) {
    const int code = answer["code"].get<int>();
    std::string text = answer.value("msg", "");
    if (const std::string details = answer.value("details", ""); !details.empty()) text += ": " + details;
    std::string message = fmt::format("{}: {} (CNI error {})", what, text, code);
    return code == kTryAgainLater ? net::unavailable(std::move(message)) : net::failed_precondition(std::move(message));
  }
  while (!error_text.empty() && error_text.back() == '\n') error_text.pop_back();
  return net::failed_precondition(
      fmt::format("{}: {}{}{}", what, end.text, error_text.empty() ? "" : ": ", error_text));
}

}  // namespace

net::Result<std::string> find_plugin(const std::string& type, const std::string& path) {
  if (type.empty() || type.find('/') != std::string::npos) {
    return net::invalid_argument(fmt::format("type \"{}\" of a CNI plugin; allowed: the name of a program", type));
  }
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string candidate = fmt::format("{}/{}", path.substr(begin, end - begin), type);
    if (end > begin && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return net::not_found(fmt::format("the CNI plugin {} is in no directory of {}", type, path));
}

net::Result<Json> run_plugin(const std::string& command, const CniAttachment& attachment, const Json& config) {
  const std::string type = config.value("type", "");
  auto program = find_plugin(type, attachment.path);
  if (!program) return program.error();
  const UniqueFd input = memory_file(config.dump()), output = memory_file(""), error = memory_file("");
  if (!input || !output || !error) return net::resource_exhausted("no memory for the input of a CNI plugin");
  auto process = Process::spawn({.argv = {*program},
                                 .environment = environment_of(command, attachment),
                                 .input = input.get(),
                                 .output = output.get(),
                                 .error = error.get()});
  if (!process) return process.error();
  const std::string what = fmt::format("{} {}", type, command);
  if (!process->ended(kPluginTimeout)) {
    static_cast<void>(process->signal(SIGKILL));
    process->reap();
    return net::unavailable(fmt::format("{}: not done after {} s", what, kPluginTimeout.count()));
  }
  const Process::End end = process->reap();
  const std::string printed = contents(output);
  const bool empty = printed.find_first_not_of(" \t\r\n") == std::string::npos;
  const Json answer = empty ? Json() : Json::parse(printed, nullptr, false);
  if (end.status != 0) return failure(what, end, answer, contents(error));
  if (answer.is_discarded()) return net::failed_precondition(fmt::format("{}: its answer is not JSON", what));
  return answer;
}

}  // namespace millrace::control::cli
