/// Debian's etcd as a child of the test: one member or several, in a directory of their own, on free ports of
/// 127.0.0.1.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/etcd/client.h"
#include "tests/etcd/process.h"

namespace millrace::control::etcd {

/// A directory that goes with the test.
class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

/// False, and the test says that it is skipped, without the binary.
bool has_etcd();

/// A TCP port of 127.0.0.1 that nobody has now.
int free_port();

struct Tls {
  std::string ca_file, cert_file, key_file;  // of the server; it wants clients signed by the same
  std::string name;  // what the harness takes it for when its certificate does not name 127.0.0.1
};

struct ServerSetup {
  std::string name = "one";
  std::string cluster;  // --initial-cluster; empty: this one alone
  std::string client_host = "127.0.0.1", peer_host = "127.0.0.1";
  int client_port = 0, peer_port = 0;
  std::vector<std::string> more;   // further arguments
  std::vector<std::string> under;  // a command to run it with: ip netns exec ...
  const Tls* tls = nullptr;
};

class Server {
 public:
  explicit Server(ServerSetup setup = {});

  void start();
  /// Until it answers reads that its leader has confirmed.
  void wait_ready() const;
  /// SIGKILL; the data stay.
  void kill() { process_.reset(); }
  /// Of a killed one: the data go too.
  void forget();
  void freeze();
  void thaw();

  std::string url() const;
  Options options() const {
    return {.endpoints = {url()}, .ca_file = "", .cert_file = "", .key_file = "", .user = "", .password_file = ""};
  }
  std::string log() const { return read_text(directory_.file("log")); }
  /// etcdctl; the test fails if it does.
  std::string ctl(std::vector<std::string> words) const;

 private:
  Directory directory_;
  ServerSetup setup_;
  std::unique_ptr<Process> process_;
};

/// A running server, or nullptr and the test is skipped.
std::unique_ptr<Server> start_server(ServerSetup setup = {});

std::unique_ptr<Client> open(Options options);

}  // namespace millrace::control::etcd
