#include "tests/etcd/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "control/etcd/rpc.grpc.pb.h"

namespace millrace::control::etcd {

Directory::Directory() {
  std::string pattern = std::filesystem::temp_directory_path() / "etcd-test-XXXXXX";
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  path_ = pattern;
}

Directory::~Directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Directory::write(const std::string& name, const std::string& text) const {
  std::ofstream(file(name), std::ios::binary) << text;
  return file(name);
}

bool has_etcd() {
  static const bool is_there = std::filesystem::exists("/usr/bin/etcd") && std::filesystem::exists("/usr/bin/etcdctl");
  return is_there;
}

int free_port() {
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(socket_fd);
  return ntohs(address.sin_port);
}

Server::Server(ServerSetup setup) : setup_(std::move(setup)) {
  if (setup_.client_port == 0) setup_.client_port = free_port();
  if (setup_.peer_port == 0) setup_.peer_port = free_port();
  if (setup_.cluster.empty())
    setup_.cluster = fmt::format("{}=http://{}:{}", setup_.name, setup_.peer_host, setup_.peer_port);
}

std::string Server::url() const {
  return fmt::format("{}://{}:{}", setup_.tls == nullptr ? "http" : "https", setup_.client_host, setup_.client_port);
}

void Server::start() {
  const std::string peer = fmt::format("http://{}:{}", setup_.peer_host, setup_.peer_port);
  std::vector<std::string> command = setup_.under;
  for (const std::string& word : std::vector<std::string>{"etcd",
                                                          "--name",
                                                          setup_.name,
                                                          "--data-dir",
                                                          directory_.file("data"),
                                                          "--listen-client-urls",
                                                          url(),
                                                          "--advertise-client-urls",
                                                          url(),
                                                          "--listen-peer-urls",
                                                          peer,
                                                          "--initial-advertise-peer-urls",
                                                          peer,
                                                          "--initial-cluster",
                                                          setup_.cluster,
                                                          "--logger",
                                                          "zap",
                                                          "--log-outputs",
                                                          "stderr",
                                                          "--heartbeat-interval",
                                                          "20",
                                                          "--election-timeout",
                                                          "200"}) {
    command.push_back(word);
  }
  if (setup_.tls != nullptr) {
    for (const std::string& word :
         std::vector<std::string>{"--cert-file", setup_.tls->cert_file, "--key-file", setup_.tls->key_file,
                                  "--trusted-ca-file", setup_.tls->ca_file, "--client-cert-auth"}) {
      command.push_back(word);
    }
  }
  command.insert(command.end(), setup_.more.begin(), setup_.more.end());
  process_ = std::make_unique<Process>(command, directory_.file("log"));
}

void Server::wait_ready() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto credentials = grpc::InsecureChannelCredentials();
  if (setup_.tls != nullptr) {
    credentials = grpc::SslCredentials(
        {read_text(setup_.tls->ca_file), read_text(setup_.tls->key_file), read_text(setup_.tls->cert_file)});
  }
  if (setup_.tls != nullptr && !setup_.tls->name.empty()) arguments.SetSslTargetNameOverride(setup_.tls->name);
  const auto channel =
      grpc::CreateCustomChannel(fmt::format("{}:{}", setup_.client_host, setup_.client_port), credentials, arguments);
  const auto stub = etcdserverpb::KV::NewStub(channel);
  const auto end = std::chrono::system_clock::now() + std::chrono::seconds(20);
  grpc::Status status;
  do {  // a member without a leader answers after a while that it has none
    grpc::ClientContext context;
    context.set_deadline(end);
    context.set_wait_for_ready(true);
    etcdserverpb::RangeRequest request;
    request.set_key("ready");
    etcdserverpb::RangeResponse response;
    status = stub->Range(&context, request, &response);
    if (status.error_message() == "etcdserver: user name is empty") return;  // it asks who we are: it is ready
  } while (!status.ok() && std::chrono::system_clock::now() < end);
  ASSERT_TRUE(status.ok()) << status.error_message() << "\n" << log();
}

void Server::forget() { std::filesystem::remove_all(directory_.file("data")); }
void Server::freeze() { process_->signal(SIGSTOP); }
void Server::thaw() { process_->signal(SIGCONT); }

std::string Server::ctl(std::vector<std::string> words) const {
  std::vector<std::string> command = {"env", "ETCDCTL_API=3",     "etcdctl", "--endpoints",
                                      url(), "--command-timeout", "10s"};
  if (setup_.tls != nullptr) {
    command.insert(command.end(),
                   {"--cacert", setup_.tls->ca_file, "--cert", setup_.tls->cert_file, "--key", setup_.tls->key_file});
  }
  command.insert(command.end(), words.begin(), words.end());
  return must_run(command);
}

std::unique_ptr<Server> start_server(ServerSetup setup) {
  auto server = std::make_unique<Server>(std::move(setup));
  server->start();
  server->wait_ready();
  return server;
}

std::unique_ptr<Client> open(Options options) {
  auto client = Client::open(std::move(options));
  EXPECT_TRUE(client.ok()) << (client.ok() ? "" : client.error().message);
  return client.ok() ? std::move(*client) : nullptr;
}

}  // namespace millrace::control::etcd
