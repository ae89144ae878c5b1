// healthCheckNodePort, asked over real sockets.
#include "control/agent/services/health_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>

namespace millrace::control::agent::services {
namespace {

using Checks = std::map<kube::ObjectKey, HealthCheck>;

kube::ObjectKey web() { return {kube::Kind::kService, "shop", "web"}; }

/// A port that is free at this moment.
std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  close(fd);
  return ntohs(address.sin_port);
}

/// What the port says to `request`; "refused" when nobody listens.
std::string ask(std::uint16_t port, const std::string& request = "GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n") {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer = "refused";
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    answer.clear();
    char buffer[1024];
    for (ssize_t got = 0; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  return answer;
}

TEST(HealthServer, says_whether_there_are_endpoints_here) {
  std::atomic<bool> healthy = true;
  HealthServer server([&] { return healthy.load(); });
  const std::uint16_t port = free_port();
  server.update({{web(), {port, 2}}});
  std::string answer = ask(port);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with(
      "\r\n\r\n{\"service\":{\"namespace\":\"shop\",\"name\":\"web\"},\"localEndpoints\":2,\"serviceProxyHealthy\":"
      "true}"))
      << answer;
  server.update({{web(), {port, 0}}});
  EXPECT_TRUE(ask(port).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  server.update({{web(), {port, 1}}});
  EXPECT_TRUE(ask(port).starts_with("HTTP/1.1 200 OK\r\n"));
  healthy = false;
  answer = ask(port);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << "the switch is away";
  EXPECT_NE(answer.find("\"serviceProxyHealthy\":false"), std::string::npos);
}

TEST(HealthServer, follows_the_port) {
  HealthServer server([] { return true; });
  const std::uint16_t first = free_port();
  server.update({{web(), {first, 1}}});
  const std::uint16_t second = free_port();
  server.update({{web(), {second, 1}}});
  EXPECT_EQ(ask(first), "refused");
  EXPECT_TRUE(ask(second).starts_with("HTTP/1.1 200 "));
  server.update({});
  EXPECT_EQ(ask(second), "refused");
}

TEST(HealthServer, a_port_that_is_taken_keeps_no_other_back) {
  HealthServer one([] { return true; });
  HealthServer other([] { return true; });
  const std::uint16_t taken = free_port();
  one.update({{web(), {taken, 1}}});
  const std::uint16_t port = free_port();
  const kube::ObjectKey api{kube::Kind::kService, "shop", "api"};
  other.update({{web(), {taken, 0}}, {api, {port, 1}}});
  EXPECT_TRUE(ask(port).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(ask(taken).starts_with("HTTP/1.1 200 ")) << "still the first one's";
  one.update({});
  other.update({{web(), {taken, 0}}, {api, {port, 1}}});
  EXPECT_TRUE(ask(taken).starts_with("HTTP/1.1 503 ")) << "free now";
}

TEST(HealthServer, ends_what_is_no_request) {
  HealthServer server([] { return true; });
  const std::uint16_t port = free_port();
  server.update({{web(), {port, 1}}});
  EXPECT_EQ(ask(port, "no http at all\r\n\r\n"), "");
  EXPECT_EQ(ask(port, "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x')), "");
  EXPECT_EQ(ask(port, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), "");
  EXPECT_TRUE(ask(port).starts_with("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace millrace::control::agent::services
