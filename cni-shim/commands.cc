#include "cni-shim/commands.h"

#include "cni-shim/add_result.h"
#include "cni-shim/agent_client.h"
#include "cni-shim/agent_error.h"
#include "cni-shim/dhcp_daemon.h"
#include "cni-shim/ipam_delegate.h"
#include "cni-shim/netns_file.h"
#include "cni-shim/previous_result.h"

namespace millrace::cni_shim {
namespace {

/// One call of the plugin: the request, and whom it asks.
class Commands {
 public:
  Commands(const Request& request, std::string_view stdin_text, const std::vector<std::string>& variables)
      : request_(request), agent_(request.config.agent_socket) {
    const std::string& plugin = request.config.ipam_plugin;
    if (!plugin.empty()) ipam_.emplace(plugin, request.environment.path, variables, stdin_text);
  }

  CniResult<std::string> add() {
    const auto netns = check_netns_file(request_.environment.netns);
    if (!netns) return netns.error();
    if (leases()) return add_leased();
    IpamResult assigned;
    if (ipam_) {
      auto result = ipam_->add();
      if (!result) return result.error();
      assigned = *std::move(result);
    }
    const auto pod = agent_.add_pod(request_, assigned);
    if (pod) return render_add_result(request_, *pod, assigned.dns);
    // Of an agent that may have gone through with it the addresses are left to the DEL that follows a failed ADD:
    // given back now, another pod could get what this one still uses.
    if (ipam_ && !pod.error().maybe_executed) (void)ipam_->forward(Command::kDel);
    return error_of(pod.error());
  }

  CniResult<std::string> del() {
    // The lease is given back over the interface, so before that goes. It is no error when it cannot be: it runs out
    // (CNI specification 1.1.0, DEL).
    if (leases()) (void)ipam_->forward(Command::kDel);
    const auto done = agent_.del_pod(request_);
    if (!done) return error_of(done.error());
    if (leases()) return std::string();
    return forwarded();
  }

  CniResult<std::string> check() {
    const auto addresses = addresses_to_check(request_);
    if (!addresses) return addresses.error();
    const auto done = agent_.check_pod(request_, *addresses);
    if (!done) return error_of(done.error());
    return forwarded();
  }

  CniResult<std::string> gc() {
    const auto done = agent_.gc_pods(request_);
    auto ipam = forwarded();
    if (!done) return error_of(done.error());
    return ipam;
  }

  CniResult<std::string> status() {
    const auto readiness = agent_.get_status();
    if (!readiness) return status_error_of(readiness.error());
    if (!readiness->ready) return not_ready_error(*readiness);
    if (leases()) {
      const auto there = check_dhcp_daemon(request_.config.dhcp_socket);
      if (!there) return CniError{CniCode::kNotAvailable, there.error().message, ""};
    }
    return forwarded();
  }

 private:
  bool leases() const { return request_.config.ipam_plugin == kDhcpPlugin; }

  /// The plugin asks for its lease over the pod's interface: that is made before, and gets the address after it.
  CniResult<std::string> add_leased() {
    const auto there = check_dhcp_daemon(request_.config.dhcp_socket);
    if (!there) return there.error();
    const auto prepared = agent_.prepare_pod(request_);
    if (!prepared) return error_of(prepared.error());
    const auto leased = ipam_->add();
    if (!leased) {
      give_up_lease();
      return leased.error();
    }
    const auto pod = agent_.complete_pod(request_, *leased);
    if (pod) return render_add_result(request_, *pod, leased->dns);
    if (!pod.error().maybe_executed) give_up_lease();
    return error_of(pod.error());
  }

  /// What fails here is left to the DEL that follows a failed ADD.
  void give_up_lease() {
    (void)ipam_->forward(Command::kDel);
    (void)agent_.del_pod(request_);
  }

  CniResult<std::string> forwarded() {
    if (!ipam_) return std::string();
    const auto done = ipam_->forward(request_.environment.command);
    if (!done) return done.error();
    return std::string();
  }

  const Request& request_;
  AgentClient agent_;
  std::optional<IpamDelegate> ipam_;
};

}  // namespace

CniResult<std::string> run_command(const Request& request, std::string_view stdin_text,
                                   const std::vector<std::string>& variables) {
  Commands commands(request, stdin_text, variables);
  switch (request.environment.command) {
    case Command::kAdd: return commands.add();
    case Command::kDel: return commands.del();
    case Command::kCheck: return commands.check();
    case Command::kGc: return commands.gc();
    case Command::kStatus: return commands.status();
    case Command::kVersion: return render_version_result(request.cni_version);
  }
  return CniError{CniCode::kInvalidEnvironment, "CNI_COMMAND is unknown", ""};
}

}  // namespace millrace::cni_shim
