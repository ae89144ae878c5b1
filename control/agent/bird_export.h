/// This node's blocks of pods' addresses for BIRD 2, which announces them to the routers of a network without
/// encapsulation.
///
/// Shape:   a file that bird.conf includes: the blocks as static routes in tables of their own, `millrace4` and
///          `millrace6`. In BIRD's own tables they could get into the kernel's, where their blackholes would take the
///          pods' packets; BGP announces them with the node itself as next hop.
/// Order:   the file is whole at any moment (written aside, then renamed), and is touched only when it would differ.
///          Then BIRD is told; once at the start in any case, since the run before may have ended in between. What
///          fails is tried again after kPause: BIRD may be away, which is no matter, as it reads the file when it
///          starts.
/// Errors:  none for the caller: they are in the log, each once.
/// Thread:  any; writing and telling are a thread's own, so that no ADD waits for BIRD.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

/// What the file says.
std::string bird_config(const std::string& node_name, const std::set<net::Prefix>& blocks);

/// Puts `text` in the place of the file, if it is not that already. True: it was another.
net::Result<bool> replace_file(const std::string& path, const std::string& text);

class BirdExport {
 public:
  static constexpr std::chrono::milliseconds kPause{3000};
  static constexpr std::chrono::milliseconds kAnswerTimeout{2000};

  /// `control_socket`: "" when somebody else tells BIRD.
  BirdExport(std::string node_name, std::string config_file, std::string control_socket, std::set<net::Prefix> blocks);
  ~BirdExport();
  BirdExport(const BirdExport&) = delete;
  BirdExport& operator=(const BirdExport&) = delete;

  void set(const net::Prefix& block, bool is_there);

 private:
  void run();
  net::Result<void> write_and_tell(const std::set<net::Prefix>& blocks);

  const std::string node_name_, config_file_, control_socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<net::Prefix> blocks_;
  bool is_new_ = true;  // blocks_, for the thread
  bool is_stopped_ = false;
  bool is_told_ = false;  // BIRD, of the file as it is; the thread's own
  std::string problem_;   // so is this
  std::thread thread_;    // last: it uses all above
};

}  // namespace millrace::control::agent
