/// SocketDirectory: where the sockets of pods lie, as the switch sees it: no symbolic link in it is followed.
///
/// Why:     the switch is root, and pods may write what is below their own directories. DPDK binds, connects and
///          removes by path, and connects again whenever it likes: a link that a pod puts in the way would have it
///          connect to the socket of another pod, or bind where it should not. So the kernel is told to follow none
///          there, for this process alone: a mount of the directory over itself, in a mount namespace of its own.
/// Shape:   what is mounted elsewhere later is seen (the namespace is a slave), what is mounted here nobody else sees.
/// Errors:  kFailedPrecondition with the step and the kernel's reason: without CAP_SYS_ADMIN, before Linux 5.10; from
///          check() also when somebody has put another directory in its place since.
/// Thread:  shield() before any other thread starts; the others any.
/// Source:  mount(2), MS_NOSYMFOLLOW; mount_namespaces(7).
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "net/result.h"

namespace millrace::control::switchd {

/// Of sockets below it that the switch makes: who may connect is what the directories let in.
inline constexpr mode_t kPodSocketMode = 0666;

class SocketDirectory {
 public:
  /// Absolute. Made if it is missing, for root alone.
  explicit SocketDirectory(std::string path) : path_(std::move(path)) {}

  net::Result<void> shield() const;
  bool covers(const std::string& socket_path) const;
  /// It is still shielded.
  net::Result<void> check() const;

 private:
  std::string path_;
};

}  // namespace millrace::control::switchd
