// The plugin's gRPC client against a real gRPC server, and against peers that are none.
#include "cni-shim/grpc_call.h"

#include <sys/socket.h>

#include <future>
#include <thread>

#include "tests/cni/agent_server.h"
#include "tests/cni/raw_peer.h"
#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPlenty{20'000};
constexpr std::string_view kMethod = "/millrace.api.Agent/AddPod";

class GrpcCall : public ::testing::Test {
 protected:
  CallResult<std::string> call(std::string_view request = "request", milliseconds timeout = kPlenty) {
    return unary_call(socket_, kMethod, request, timeout);
  }

  TempDirectory directory_;
  std::string socket_ = directory_.file("agent.sock");
};

TEST_F(GrpcCall, CarriesTheMessagesBothWays) {
  AgentServer server(socket_, [](const auto&, const std::string& request) {
    return Reply{{}, "answer to " + request};
  });
  const auto reply = call("question");
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(*reply, "answer to question");
  ASSERT_EQ(server.seen().size(), 1U);
  EXPECT_EQ(server.seen()[0].method, kMethod);
}

TEST_F(GrpcCall, CarriesEmptyMessages) {
  AgentServer server(socket_, [](const auto&, const auto&) { return Reply{}; });
  const auto reply = call("");
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(*reply, "");
}

TEST_F(GrpcCall, CarriesMessagesLargerThanAnyWindow) {
  AgentServer server(socket_, [](const auto&, const std::string& request) { return Reply{{}, request + request}; });
  std::string large(1'500'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
  const auto reply = call(large);
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_TRUE(*reply == large + large);
}

TEST_F(GrpcCall, TellsTheServerItsDeadline) {
  AgentServer server(socket_, [](const auto&, const auto&) { return Reply{}; });
  ASSERT_TRUE(call("", milliseconds(7000)).ok());
  const milliseconds left = server.seen().at(0).time_left;
  EXPECT_GT(left, milliseconds(0));
  EXPECT_LE(left, milliseconds(7000));
}

TEST_F(GrpcCall, BringsEveryStatusWithItsMessageAsItWas) {
  const std::string messages[] = {"plain", "pool \"10.244.0.0/24\" is 100% full", "Größe, 日本", "",
                                  std::string(2000, 'm')};
  for (int code = 1; code <= 16; ++code) {
    for (const std::string& message : messages) {
      SCOPED_TRACE(std::to_string(code) + " " + message.substr(0, 40));
      const TempDirectory directory;
      AgentServer server(directory.file("s"), [&](const auto&, const auto&) {
        return Reply{grpc::Status(static_cast<grpc::StatusCode>(code), message), ""};
      });
      const auto reply = unary_call(directory.file("s"), kMethod, "", kPlenty);
      ASSERT_FALSE(reply.ok());
      EXPECT_EQ(static_cast<int>(reply.error().code), code);
      EXPECT_EQ(reply.error().message, message);
      EXPECT_FALSE(reply.error().not_grpc);
    }
  }
}

TEST_F(GrpcCall, EndsAtItsDeadline) {
  AgentServer server(socket_, [](const auto&, const auto&) { return Reply{{}, "", /*hang=*/true}; });
  const auto start = std::chrono::steady_clock::now();
  const auto reply = call("", milliseconds(150));
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, GrpcCode::kDeadlineExceeded);
  EXPECT_TRUE(reply.error().maybe_executed);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
}

TEST_F(GrpcCall, SaysSoWhenNobodyListens) {
  const auto missing = call();
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, GrpcCode::kUnavailable);
  EXPECT_FALSE(missing.error().maybe_executed);
  EXPECT_NE(missing.error().message.find(socket_), std::string::npos);

  {
    RawPeer gone(socket_, [](int) {});
  }  // leaves its socket file behind
  const auto refused = call();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, GrpcCode::kUnavailable);
  EXPECT_FALSE(refused.error().maybe_executed);
}

TEST_F(GrpcCall, AnAnswerBeyondTheLimitIsRefused) {
  AgentServer server(socket_, [](const auto&, const auto&) { return Reply{{}, std::string(kMaxReplyBytes + 1, 'x')}; });
  const auto reply = call();
  ASSERT_FALSE(reply.ok());
  EXPECT_TRUE(reply.error().not_grpc);
  EXPECT_NE(reply.error().message.find("longer"), std::string::npos) << reply.error().message;
}

/// Frames of HTTP/2, by hand: type, flags, stream 1 or 0, payload.
std::string frame(char type, char flags, char stream, const std::string& payload) {
  const std::size_t n = payload.size();
  return std::string{static_cast<char>(n >> 16),
                     static_cast<char>(n >> 8),
                     static_cast<char>(n),
                     type,
                     flags,
                     0,
                     0,
                     0,
                     stream} +
         payload;
}
const std::string kSettings = frame(4, 0, 0, "");

TEST_F(GrpcCall, SurvivesPeersThatSpeakNoGrpc) {
  const std::string status_200("\x88", 1);  // HPACK static index 8
  struct Row {
    std::string name, bytes;
  };
  std::string noise(5000, '\0');
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * 2654435761U >> 13);
  const Row rows[] = {
      {"noise", noise},
      {"HTTP/1.1", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" + std::string(200, ' ')},
      {"all ones", std::string(200, '\xff')},
      {"a frame beyond its limit", kSettings + frame(0, 0, 1, std::string(70'000, 'x'))},
      {"data before headers", kSettings + frame(0, 0, 1, "x")},
      {"headers that are no HPACK", kSettings + frame(1, 4, 1, std::string(40, '\xff'))},
      {"a stream that ends with no grpc-status", kSettings + frame(1, 5, 1, status_200)},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const TempDirectory directory;
    RawPeer peer(directory.file("s"), [&](int fd) {
      write_all(fd, row.bytes);
      read_to_end(fd);
    });
    const auto reply = unary_call(directory.file("s"), kMethod, "request", kPlenty);
    ASSERT_FALSE(reply.ok());
    EXPECT_TRUE(reply.error().not_grpc || reply.error().code == GrpcCode::kInternal) << reply.error().message;
    EXPECT_FALSE(reply.error().message.empty());
  }
}

TEST_F(GrpcCall, APeerThatHangsUpMidwayIsUnavailable) {
  struct Row {
    std::string name;
    std::size_t reads;
    std::string writes;
  };
  const Row rows[] = {{"at once", 0, ""},
                      {"after the request", 24, ""},
                      {"after its settings", 24, kSettings},
                      {"within a frame", 24, kSettings.substr(0, 5)},
                      {"within the answer", 24, kSettings + frame(1, 4, 1, "\x88")}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const TempDirectory directory;
    RawPeer peer(directory.file("s"), [&](int fd) {
      read_at_least(fd, row.reads);
      write_all(fd, row.writes);
    });
    const auto reply = unary_call(directory.file("s"), kMethod, "request", kPlenty);
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().code, GrpcCode::kUnavailable) << reply.error().message;
    EXPECT_FALSE(reply.error().not_grpc);
  }
}

TEST_F(GrpcCall, AServerThatStopsUnderACallIsNoAnswer) {
  std::promise<void> called;
  AgentServer server(socket_, [&](const auto&, const auto&) {
    called.set_value();
    return Reply{{}, "", /*hang=*/true};
  });
  std::thread stopper([&] {
    called.get_future().wait();
    server.stop();
  });
  const auto reply = call();
  stopper.join();
  ASSERT_FALSE(reply.ok());
  EXPECT_TRUE(reply.error().code == GrpcCode::kUnavailable || reply.error().code == GrpcCode::kCancelled)
      << static_cast<int>(reply.error().code) << " " << reply.error().message;
  EXPECT_TRUE(reply.error().maybe_executed);
}

TEST_F(GrpcCall, APeerThatSaysNothingIsLeftAtTheDeadline) {
  RawPeer peer(socket_, [](int fd) { read_to_end(fd); });
  const auto reply = call("", milliseconds(100));
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, GrpcCode::kDeadlineExceeded);
}

TEST_F(GrpcCall, APeerThatNeverStopsTalkingIsLeftAtTheDeadline) {
  RawPeer peer(socket_, [](int fd) {
    const std::string pings = frame(6, 1, 0, std::string(8, 'p'));  // acknowledgements of nothing, for ever
    std::string many = kSettings;
    for (int i = 0; i < 100; ++i) many += pings;
    char byte = 0;
    while (::recv(fd, &byte, 1, MSG_DONTWAIT) != 0) {
      if (::send(fd, many.data(), many.size(), MSG_NOSIGNAL) < 0) return;
    }
  });
  const auto reply = call("", milliseconds(200));
  ASSERT_FALSE(reply.ok());
  EXPECT_TRUE(reply.error().code == GrpcCode::kDeadlineExceeded || reply.error().not_grpc) << reply.error().message;
}

}  // namespace
}  // namespace millrace::cni_shim::testing
