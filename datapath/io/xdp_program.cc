#include "datapath/io/xdp_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <port.skel.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
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

net::Result<std::shared_ptr<const XdpProgram>> XdpProgram::load() {
  redirect_bpf_log();
  const std::shared_ptr<port_bpf> skeleton(port_bpf__open(), port_bpf__destroy);
  if (skeleton == nullptr) return kernel_error("XDP program does not open", errno);
  if (const int status = port_bpf__load(skeleton.get()); status != 0) {
    return kernel_error("the kernel does not take the XDP program", -status);
  }
  return of(skeleton, bpf_program__fd(skeleton->progs.millrace_port), bpf_map__fd(skeleton->maps.sockets),
            bpf_map__max_entries(skeleton->maps.sockets), 1);
}

std::shared_ptr<const XdpProgram> XdpProgram::of(std::shared_ptr<void> skeleton, int program, int sockets,
                                                 std::uint32_t slots, std::uint32_t queues) {
  return std::shared_ptr<const XdpProgram>(new XdpProgram(std::move(skeleton), program, sockets, slots, queues));
}

net::Result<void> XdpProgram::add_socket(unsigned interface_index, std::uint32_t queue, int socket) const {
  if (queue >= queues_) {
    return net::invalid_argument(fmt::format("queue {} has no slot: the program has {}", queue, queues_));
  }
  const std::uint32_t slot = interface_index % (slots_ / queues_) * queues_ + queue;
  if (bpf_map_update_elem(sockets_, &slot, &socket, BPF_NOEXIST) == 0) return {};
  if (errno == EEXIST) return net::already_exists(fmt::format("slot {} of the socket map is taken", slot));
  return kernel_error("socket map", errno);
}

XdpLink::XdpLink(std::shared_ptr<const XdpProgram> program, int link, XdpMode mode) noexcept
    : program_(std::move(program)), link_(link), mode_(mode) {}

XdpLink::XdpLink(XdpLink&& other) noexcept
    : program_(std::move(other.program_)), link_(std::exchange(other.link_, -1)), mode_(other.mode_) {}

XdpLink::~XdpLink() {
  if (link_ >= 0) ::close(link_);
}

net::Result<XdpLink> XdpLink::attach(std::shared_ptr<const XdpProgram> program, const std::string& interface,
                                     unsigned interface_index) {
  const auto link = [&](std::uint32_t mode) {
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = mode;
    return bpf_link_create(program->descriptor(), static_cast<int>(interface_index), BPF_XDP, &options);
  };
  const int native = link(XDP_FLAGS_DRV_MODE);
  if (native >= 0) return XdpLink(std::move(program), native, XdpMode::kNative);
  if (native == -EBUSY) {
    return net::failed_precondition(fmt::format("interface {} already carries an XDP program", interface));
  }
  const int generic = link(XDP_FLAGS_SKB_MODE);
  if (generic >= 0) return XdpLink(std::move(program), generic, XdpMode::kGeneric);
  return kernel_error(fmt::format("XDP on interface {} (native: {}) generic", interface, std::strerror(-native)),
                      -generic);
}

}  // namespace millrace::datapath::io
