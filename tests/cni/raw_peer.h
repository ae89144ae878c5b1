/// A peer on a unix socket that does as a test says: speaks no gRPC, half of it, or hangs up.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace millrace::cni_shim::testing {

class RawPeer {
 public:
  /// Listens at once; `script` runs for the first caller, in a thread, and its descriptor is closed afterwards.
  RawPeer(const std::string& socket_path, std::function<void(int fd)> script);
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer();

 private:
  int listener_;
  std::thread thread_;
};

void write_all(int fd, const std::string& bytes);
/// Blocks until at least `count` bytes came or the caller hung up.
std::string read_at_least(int fd, std::size_t count);
/// Blocks until `marker` came or the caller hung up.
void read_until(int fd, const std::string& marker);
/// Blocks until the caller hangs up.
void read_to_end(int fd);

}  // namespace millrace::cni_shim::testing
