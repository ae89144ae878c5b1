#include "control/agent/nftables.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace millrace::control::agent {
namespace {

net::Error unavailable(std::string_view why) {
  return {net::ErrorCode::kUnavailable, fmt::format("nftables: {}", why)};
}

/// libnftables ends the process when it gets no socket: so whether there is one is found out before.
net::Result<void> probe() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return unavailable(strerror(errno));
  close(fd);
  return {};
}

}  // namespace

net::Result<void> run_nftables(const std::string& commands) {
  if (auto possible = probe(); !possible) return possible;
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  if (!context) return unavailable("no memory for its context");
  // What it has to say goes here and not to the agent's own output.
  if (nft_ctx_buffer_output(context.get()) != 0 || nft_ctx_buffer_error(context.get()) != 0) {
    return unavailable("no memory for its messages");
  }
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) == 0) return {};
  const int error = errno;
  const std::string_view said = nft_ctx_get_error_buffer(context.get());
  return unavailable(said.empty() ? strerror(error) : said.substr(0, said.find('\n')));
}

}  // namespace millrace::control::agent
