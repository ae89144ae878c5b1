// All tests of a program run in a network namespace of their own where that is allowed, and not at all without etcd.
// Names of network namespaces are private to it too, so that nothing of it is left whatever happens.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/etcd/server.h"

namespace {

void set_up_loopback() {
  const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket_fd, SIOCSIFFLAGS, &request) != 0) std::perror("lo");
  close(socket_fd);
}

void hide_netns_names() {
  mkdir("/run/netns", 0755);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) std::perror("/");
  if (mount("tmpfs", "/run/netns", "tmpfs", 0, nullptr) != 0) std::perror("/run/netns");
}

}  // namespace

int main(int count, char** words) {
  testing::InitGoogleTest(&count, words);
  if (!millrace::control::etcd::has_etcd()) {
    std::puts("SKIPPED: /usr/bin/etcd or /usr/bin/etcdctl is missing (packages etcd-server, etcd-client)");
    return 77;  // meson: skipped
  }
  // Before there is a second thread: what starts later is in it as well.
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) == 0) {
    set_up_loopback();
    hide_netns_names();
  }
  return RUN_ALL_TESTS();
}
