// Opening a session: what the options say, the credentials and a channel for each member.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <filesystem>

#include "control/etcd/files.h"
#include "control/etcd/session.h"

namespace millrace::control::etcd {
namespace {

constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";  // Debian's ca-certificates
// etcd refuses a client that pings more often than every 5 s (--grpc-keepalive-min-time).
constexpr int kPingMs = 10'000, kPingAnswerMs = 5'000;
constexpr int kReconnectFirstMs = 100, kReconnectLastMs = 1'000, kConnectMs = 3'000;

net::Result<void> check(const Options& options) {
  if (options.endpoints.empty()) return net::invalid_argument("etcd.endpoints is empty");
  if (options.timeout < std::chrono::milliseconds(1))
    return net::invalid_argument("the timeout of etcd is not positive");
  if (options.cert_file.empty() != options.key_file.empty()) {
    return net::invalid_argument("etcd.certFile and etcd.keyFile belong together");
  }
  if (options.user.empty() != options.password_file.empty()) {
    return net::invalid_argument("etcd.user and etcd.passwordFile belong together");
  }
  if (options.password_file.empty()) return {};
  const auto password = read_password(options.password_file);
  return password ? net::Result<void>() : password.error();
}

net::Result<std::shared_ptr<grpc::ChannelCredentials>> tls(const Options& options) {
  grpc::SslCredentialsOptions ssl;
  std::string ca_file = options.ca_file;
  if (ca_file.empty() && std::filesystem::exists(kSystemRoots)) ca_file = kSystemRoots;  // else those gRPC finds
  struct File {
    const char* key;
    const std::string& path;
    std::string& text;
  };
  for (const File& file :
       {File{"etcd.caFile", ca_file, ssl.pem_root_certs}, File{"etcd.certFile", options.cert_file, ssl.pem_cert_chain},
        File{"etcd.keyFile", options.key_file, ssl.pem_private_key}}) {
    if (file.path.empty()) continue;
    auto text = read_file(file.key, file.path);
    if (!text) return text.error();
    if (text->find("-----BEGIN ") == std::string::npos) {
      return net::invalid_argument(fmt::format("{} {}: is not PEM", file.key, file.path));
    }
    file.text = std::move(*text);
  }
  auto credentials = grpc::SslCredentials(ssl);
  if (!credentials) return net::invalid_argument("etcd: the TLS files cannot be used");
  return credentials;
}

grpc::ChannelArguments arguments() {
  grpc::ChannelArguments made;
  made.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  made.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingAnswerMs);
  made.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  made.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectFirstMs);
  made.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);  // in truth: how long one attempt to connect may take
  made.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectLastMs);
  made.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a session's connections are its own
  made.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);          // nodes and etcd are neighbours, whatever the environment says
  made.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  made.SetMaxReceiveMessageSize(-1);  // an answer is as large as what was asked for
  return made;
}

}  // namespace

net::Result<std::unique_ptr<Session>> Session::open(Options options) {
  if (auto checked = check(options); !checked) return checked.error();
  std::unique_ptr<Session> session(new Session(std::move(options)));
  if (auto opened = session->open_members(); !opened) return opened.error();
  return session;
}

net::Result<void> Session::open_members() {
  std::shared_ptr<grpc::ChannelCredentials> secure;
  for (const std::string& url : options_.endpoints) {
    auto endpoint = parse_endpoint(url);
    if (!endpoint) return endpoint.error();
    if (endpoint->is_tls && !secure) {
      auto made = tls(options_);
      if (!made) return made.error();
      secure = *made;
    }
    auto member = std::make_unique<Member>();
    member->index = members_.size();
    member->endpoint = *endpoint;
    const auto credentials = endpoint->is_tls ? secure : grpc::InsecureChannelCredentials();
    member->channel = grpc::CreateCustomChannel(endpoint->target, credentials, arguments());
    member->kv = etcdserverpb::KV::NewStub(member->channel);
    member->watch = etcdserverpb::Watch::NewStub(member->channel);
    member->lease = etcdserverpb::Lease::NewStub(member->channel);
    member->auth = etcdserverpb::Auth::NewStub(member->channel);
    members_.push_back(std::move(member));
  }
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const auto& member : members_) channels.push_back(member->channel);
  driver_ = std::make_unique<Driver>(std::move(channels));
  return {};
}

}  // namespace millrace::control::etcd
