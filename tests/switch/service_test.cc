// The service over a real unix socket: error codes, sizes, watch streams, one owner of a socket.
#include "control/switch/service.h"

#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <future>

#include "control/api/grpc_status.h"
#include "control/api/unix_socket.h"
#include "tests/switch/switch_server.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

using grpc::StatusCode;

TEST_F(ServiceTest, AnswersOverTheSocket) {
  api::ApplyReply reply;
  const grpc::Status applied = apply(upsert({pod("a", {"10.0.0.1"})}), &reply);
  ASSERT_TRUE(applied.ok()) << applied.error_message();
  EXPECT_EQ(reply.generation(), 2u);

  grpc::ClientContext context;
  api::SwitchStatus status;
  ASSERT_TRUE(stub_->GetStatus(&context, {}, &status).ok());
  EXPECT_EQ(status.instance_id(), "first");
  EXPECT_EQ(status.port_count(), 1u);
  EXPECT_EQ(status.port_limit(), 8u);
  EXPECT_EQ(status.packets_free(), 512u);
  EXPECT_EQ(status.pid(), static_cast<std::uint32_t>(::getpid()));

  grpc::ClientContext topology_context;
  api::Topology topology;
  ASSERT_TRUE(stub_->GetTopology(&topology_context, {}, &topology).ok());
  EXPECT_EQ(topology.reasons(0), "because");
}

TEST_F(ServiceTest, AnErrorHasItsCodeAndItsSentence) {
  api::PortSpec port = pod("a", {"10.0.0.1"});
  port.set_mtu(1);
  api::ApplyReply reply;
  const grpc::Status status = apply(upsert({port}), &reply);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "upsert_ports[0].mtu: 1; allowed: 576..1500");
}

TEST_F(ServiceTest, ALateWorkerIsADeadlineAndTheSameRequestAgainIsAnsweredWhenItHasPassed) {
  sw_.away = {1};
  api::ApplyReply reply;
  const grpc::Status late = apply(upsert({pod("a", {"10.0.0.1"})}), &reply);
  EXPECT_EQ(late.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_NE(late.error_message().find("generation 2 is in force, but worker 1 (CPU 1)"), std::string::npos)
      << late.error_message();
  EXPECT_EQ(sw_.state->port_count(), 1u);
  sw_.away.clear();
  const grpc::Status again = apply(upsert({pod("a", {"10.0.0.1"})}), &reply);
  ASSERT_TRUE(again.ok()) << again.error_message();
  EXPECT_EQ(reply.generation(), 2u);
}

TEST_F(ServiceTest, AMessageOverTheLimitIsRefusedAndTheNextOneAnswered) {
  api::ApplyRequest request;
  request.add_remove_ports(std::string(api::kMessageLimitBytes, 'x'));
  api::ApplyReply reply;
  EXPECT_EQ(apply(request, &reply).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(apply(upsert({pod("a", {})}), &reply).ok());
}

TEST_F(ServiceTest, BytesThatAreNoMessageAreRefusedAndChangeNothing) {
  const std::string whole = upsert({pod("a", {"10.0.0.1"})}).SerializeAsString();
  for (const std::string& bytes :
       {whole.substr(0, whole.size() - 1), std::string("\xff\xff\xff\xff"), std::string("\x0a\x7f")}) {
    grpc::GenericStub stub(api::open_channel(socket()));
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer reply;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(&context, "/millrace.api.Switch/Apply", request, &queue);
    call->StartCall();
    call->Finish(&reply, &status, this);
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    EXPECT_FALSE(status.ok());
  }
  EXPECT_EQ(sw_.state->generation(), 1u);
}

TEST_F(ServiceTest, AWatchSaysWhichInstanceItIsAndEndsWithTheSwitch) {
  grpc::ClientContext context;
  auto stream = stub_->Watch(&context, {});
  api::WatchEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.instance_id(), "first");
  EXPECT_EQ(event.generation(), 1u);
  auto ended = std::async(std::launch::async, [&] { return stream->Read(&event); });
  stop();
  EXPECT_FALSE(ended.get());
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(ServiceTest, OneWatcherTooManyIsRefusedUntilAnotherLeaves) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<api::WatchEvent>>> streams;
  api::WatchEvent event;
  for (std::size_t i = 0; i < kWatcherLimit; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub_->Watch(contexts.back().get(), {}));
    ASSERT_TRUE(streams.back()->Read(&event));
  }
  grpc::ClientContext refused;
  auto one_more = stub_->Watch(&refused, {});
  EXPECT_FALSE(one_more->Read(&event));
  EXPECT_EQ(one_more->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);

  contexts.front()->TryCancel();
  static_cast<void>(streams.front()->Finish());
  StatusCode code = StatusCode::RESOURCE_EXHAUSTED;  // the server hears of the cancel a moment later
  for (int attempt = 0; attempt < 1000 && code == StatusCode::RESOURCE_EXHAUSTED; ++attempt) {
    grpc::ClientContext context;
    auto stream = stub_->Watch(&context, {});
    code = StatusCode::OK;
    if (!stream->Read(&event)) code = stream->Finish().error_code();
    context.TryCancel();
  }
  EXPECT_EQ(code, StatusCode::OK);
}

TEST_F(ServiceTest, TheSocketIsForItsOwnerAndGroup) {
  struct stat info {};
  ASSERT_EQ(::stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777u, 0660u);
}

TEST_F(ServiceTest, ASecondServerOnTheSamePathIsRefusedAndTheFirstGoesOn) {
  auto second = api::UnixServer::listen(socket(), *service_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, net::ErrorCode::kAlreadyExists);
  EXPECT_EQ(second.error().message, socket() + ": another process serves this socket");
  api::ApplyReply reply;
  EXPECT_TRUE(apply(upsert({pod("a", {})}), &reply).ok());
}

int bind_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

TEST_F(ServiceTest, ASocketFileThatNobodyServesIsReplaced) {
  const std::string path = directory_ + "/stale.sock";
  ::close(bind_socket(path));
  EXPECT_TRUE(api::SocketClaim::take(path).ok());
}

TEST_F(ServiceTest, ASocketOfAProgramThatKnowsNoLockIsLeftAlone) {
  const std::string path = directory_ + "/other.sock";
  const int fd = bind_socket(path);
  ASSERT_EQ(::listen(fd, 1), 0);
  const auto claim = api::SocketClaim::take(path);
  ASSERT_FALSE(claim.ok());
  EXPECT_EQ(claim.error().code, net::ErrorCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(path));
  ::close(fd);
}

TEST_F(ServiceTest, APathThatCannotBeASocketIsRefused) {
  const std::string file = directory_ + "/file";
  ASSERT_EQ(::close(::creat(file.c_str(), 0600)), 0);
  EXPECT_EQ(api::SocketClaim::take(file).error().message, file + ": is there and is no socket");
  const std::string long_path = directory_ + "/" + std::string(108, 'x');
  EXPECT_EQ(api::SocketClaim::take(long_path).error().code, net::ErrorCode::kInvalidArgument);
}

TEST(GrpcStatus, EveryErrorComesBackAsItWas) {
  for (const net::Error& error :
       {net::invalid_argument("a"), net::not_found("b"), net::already_exists("c"), net::resource_exhausted("d"),
        net::failed_precondition("e"), net::permission_denied("f"), net::unavailable("g"), net::internal_error("h")}) {
    const net::Error back = api::to_error(api::to_status(error));
    EXPECT_EQ(back.code, error.code);
    EXPECT_EQ(back.message, error.message);
  }
}

}  // namespace
}  // namespace millrace::control::switchd
