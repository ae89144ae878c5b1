#include "datapath/io/xdp_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <port.skel.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "datapath/io/bpf_log.h"

namespace millrace::datapath::io {
namespace {

net::Error kernel_error(const std::string& what, int error) {
  const net::ErrorCode code =
      error == EPERM || error == EACCES ? net::ErrorCode::kPermissionDenied : net::ErrorCode::kFailedPrecondition;
  return {code, fmt::format("{}: {}", what, std::strerror(error))};
}

}  // namespace

net::Result<XdpProgram> XdpProgram::load(std::uint32_t queue) {
  redirect_bpf_log();
  XdpProgram program;
  program.skeleton_ = port_bpf__open();
  if (program.skeleton_ == nullptr) return kernel_error("XDP program does not open", errno);
  bpf_map__set_max_entries(program.skeleton_->maps.sockets, queue + 1);
  if (const int status = port_bpf__load(program.skeleton_); status != 0) {
    return kernel_error("the kernel does not take the XDP program", -status);
  }
  return program;
}

XdpProgram::XdpProgram(XdpProgram&& other) noexcept
    : skeleton_(std::exchange(other.skeleton_, nullptr)), link_(std::exchange(other.link_, -1)) {}

XdpProgram& XdpProgram::operator=(XdpProgram&& other) noexcept {
  std::swap(skeleton_, other.skeleton_);
  std::swap(link_, other.link_);
  return *this;
}

XdpProgram::~XdpProgram() {
  if (link_ >= 0) ::close(link_);
  port_bpf__destroy(skeleton_);
}

net::Result<void> XdpProgram::set_socket(std::uint32_t queue, int socket) {
  const int map = bpf_map__fd(skeleton_->maps.sockets);
  if (bpf_map_update_elem(map, &queue, &socket, BPF_ANY) != 0) return kernel_error("socket map", errno);
  return {};
}

net::Result<XdpMode> XdpProgram::attach(const std::string& interface, unsigned interface_index) {
  const int program = bpf_program__fd(skeleton_->progs.millrace_port);
  const auto link = [&](std::uint32_t mode) {
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = mode;
    return bpf_link_create(program, static_cast<int>(interface_index), BPF_XDP, &options);
  };
  link_ = link(XDP_FLAGS_DRV_MODE);
  if (link_ >= 0) return XdpMode::kNative;
  const int native_error = -link_;
  if (native_error == EBUSY) {
    return net::failed_precondition(fmt::format("interface {} already carries an XDP program", interface));
  }
  link_ = link(XDP_FLAGS_SKB_MODE);
  if (link_ >= 0) return XdpMode::kGeneric;
  return kernel_error(fmt::format("XDP on interface {} (native: {}) generic", interface, std::strerror(native_error)),
                      -link_);
}

}  // namespace millrace::datapath::io
