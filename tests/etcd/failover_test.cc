// Which endpoint is asked, when another one is, and what a caller is told of a write.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "control/etcd/endpoint.h"
#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using net::ErrorCode;
using namespace std::chrono_literals;

/// Takes connections and says nothing: what a machine does that hangs.
class MuteListener {
 public:
  MuteListener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), port_(free_port()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
  }
  ~MuteListener() { close(fd_); }
  MuteListener(const MuteListener&) = delete;
  MuteListener& operator=(const MuteListener&) = delete;
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }

 private:
  int fd_, port_;
};

std::string url_of_nobody() { return fmt::format("http://127.0.0.1:{}", free_port()); }

Put put_of(const std::string& value) { return {.key = "/f/1", .value = value, .lease = 0}; }

Options options(std::vector<std::string> endpoints, std::chrono::milliseconds timeout) {
  return {.endpoints = std::move(endpoints),
          .ca_file = "",
          .cert_file = "",
          .key_file = "",
          .user = "",
          .password_file = "",
          .timeout = timeout};
}

TEST(Failover, EndpointsAreUrlsWithAPort) {
  const struct {
    const char* url;
    const char* target;  // nullptr: refused
    bool is_tls;
  } rows[] = {
      {"http://10.0.0.1:2379", "dns:///10.0.0.1:2379", false},
      {"https://etcd-1.example:2379/", "dns:///etcd-1.example:2379", true},
      {"http://[fd00::1]:2379", "dns:///[fd00::1]:2379", false},
      {"http://fd00::1:2379", nullptr, false},
      {"http://[fd00::g]:2379", nullptr, false},
      {"http://10.0.0.1", nullptr, false},
      {"http://10.0.0.1:0", nullptr, false},
      {"http://10.0.0.1:65536", nullptr, false},
      {"http://10.0.0.1:2379/v3", nullptr, false},
      {"http://:2379", nullptr, false},
      {"http://user@host:2379", nullptr, false},
      {"unix:///run/etcd.sock", nullptr, false},
      {"10.0.0.1:2379", nullptr, false},
      {"", nullptr, false},
  };
  for (const auto& row : rows) {
    const auto endpoint = parse_endpoint(row.url);
    ASSERT_EQ(endpoint.ok(), row.target != nullptr) << row.url;
    if (!endpoint.ok()) continue;
    EXPECT_EQ(endpoint->target, row.target);
    EXPECT_EQ(endpoint->is_tls, row.is_tls);
  }
  EXPECT_FALSE(Client::open(options({}, 1s)).ok());
}

TEST(Failover, NobodyAnswers) {
  const std::string one = url_of_nobody(), two = url_of_nobody();
  const auto client = open(options({one, two}, 5s));
  const auto asked = std::chrono::steady_clock::now();
  const auto put = client->put(put_of("a"));
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 2s) << "refused is refused";
  EXPECT_EQ(put.error().code, ErrorCode::kUnavailable);
  for (const std::string& url : {one, two})
    EXPECT_NE(put.error().message.find(url), std::string::npos) << put.error().message;
  EXPECT_NE(put.error().message.find("Connection refused"), std::string::npos) << put.error().message;
  EXPECT_EQ(client->get("/f/1").error().code, ErrorCode::kUnavailable);
}

TEST(Failover, AnotherEndpointIsAskedAndStaysTheFirst) {
  const auto server = start_server();
  const MuteListener mute;
  for (const std::string& bad : {mute.url(), url_of_nobody()}) {
    const auto client = open(options({bad, server->url()}, 2s));
    const auto put = client->put(put_of("a"));
    EXPECT_TRUE(put.ok()) << put.error().message;
    const auto asked = std::chrono::steady_clock::now();
    EXPECT_TRUE(client->get("/f/1").ok());
    EXPECT_LT(std::chrono::steady_clock::now() - asked, 500ms) << "the one that answered is asked first";
    EXPECT_TRUE(open(options({bad, server->url()}, 2s))->get("/f/1").ok());
  }
}

TEST(Failover, AWriteThatWasSentAndNotAnsweredIsOfUnknownOutcome) {
  const auto server = start_server();
  const auto client = open(options({server->url(), url_of_nobody()}, 700ms));
  ASSERT_TRUE(client->put(put_of("a")).ok());
  server->freeze();
  const auto put = client->put(put_of("b"));
  EXPECT_EQ(put.error().code, ErrorCode::kDeadlineExceeded) << put.error().message;
  EXPECT_NE(put.error().message.find("may have been done"), std::string::npos) << put.error().message;
  const auto get = client->get("/f/1");
  EXPECT_EQ(get.error().code, ErrorCode::kUnavailable) << "a read that was not answered did nothing";
  server->thaw();
  server->wait_ready();
  const auto again = open(server->options())->get("/f/1");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE((*again)->value == "a" || (*again)->value == "b");
}

TEST(Failover, AServerThatComesBackIsUsedAgain) {
  const auto server = start_server();
  const auto client = open(server->options());
  ASSERT_TRUE(client->put(put_of("a")).ok());
  server->kill();
  EXPECT_FALSE(client->get("/f/1").ok());
  EXPECT_EQ(client->put(put_of("b")).error().code, ErrorCode::kUnavailable);
  server->start();
  server->wait_ready();
  // gRPC tries a dead endpoint once a second, and an attempt that met a socket without a server behind it takes three.
  const auto end = std::chrono::steady_clock::now() + 15s;
  auto get = client->get("/f/1");
  while (!get.ok() && std::chrono::steady_clock::now() < end) get = client->get("/f/1");
  ASSERT_TRUE(get.ok()) << get.error().message;
  EXPECT_EQ((*get)->value, "a");
}

// Who asks seldom must not be the one who makes the connection: a call that fails at once helps none to come about.
TEST(Failover, AServerThatComesBackIsFoundWhileNobodyAsks) {
  const auto server = start_server();
  const auto client = open(server->options());
  ASSERT_TRUE(client->put(put_of("a")).ok());
  server->kill();
  const auto dead_until = std::chrono::steady_clock::now() + 3s;  // for more than one attempt to connect
  while (client->get("/f/1").ok() || std::chrono::steady_clock::now() < dead_until) std::this_thread::sleep_for(1s);
  server->start();
  server->wait_ready();
  const auto end = std::chrono::steady_clock::now() + 8s;
  auto get = client->get("/f/1");
  while (!get.ok() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(1s);  // as an agent does: kPauseAfterError of control/agent/cluster/membership.h
    get = client->get("/f/1");
  }
  EXPECT_TRUE(get.ok()) << get.error().message;
}

}  // namespace
}  // namespace millrace::control::etcd
