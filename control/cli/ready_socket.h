/// ReadySocket: the receiving end of sd_notify(3): how a daemon that this program starts says that it is ready.
///
/// Shape:   an abstract datagram socket with a name the kernel chooses; `address` goes into NOTIFY_SOCKET. A message
///          counts for the process that sent it (SCM_CREDENTIALS, unix(7)), so nobody can say READY for another.
/// Errors:  kFailedPrecondition with the system's reason.
/// Thread:  one owner.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "control/cli/unique_fd.h"
#include "net/result.h"

namespace millrace::control::cli {

class ReadySocket {
 public:
  static net::Result<ReadySocket> open();

  int fd() const { return fd_.get(); }  // readable when there is a message
  const std::string& address() const { return address_; }
  /// The process that said READY=1 in the next message; nullopt: there is no message, or it says something else.
  std::optional<pid_t> take();

 private:
  ReadySocket(UniqueFd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}
  UniqueFd fd_;
  std::string address_;
};

}  // namespace millrace::control::cli
