/// A server that speaks etcd's protocol and says what a real one cannot be made to say.
///
/// Shape:   set_range() answers each Range, set_grant() each LeaseGrant; the n-th watch hears what say() has for it,
///          line by line, and then stays open; each renewal is answered with the next of say_ttl(), then with 5 s.
#pragma once

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "control/etcd/client.h"
#include "control/etcd/rpc.grpc.pb.h"

namespace millrace::control::etcd {

class FakeEtcd {
 public:
  using Range = std::function<grpc::Status(const etcdserverpb::RangeRequest&, etcdserverpb::RangeResponse*)>;
  using Grant = std::function<etcdserverpb::LeaseGrantResponse()>;

  static constexpr std::uint64_t kClusterId = 7;

  FakeEtcd() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&kv_);
    builder.RegisterService(&watch_);
    builder.RegisterService(&lease_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
  }
  ~FakeEtcd() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
      changed_.notify_all();
    }
    server_->Shutdown(std::chrono::system_clock::now());
  }
  FakeEtcd(const FakeEtcd&) = delete;
  FakeEtcd& operator=(const FakeEtcd&) = delete;

  Options options() const {
    Options made;
    made.endpoints = {fmt::format("http://127.0.0.1:{}", port_)};
    made.timeout = std::chrono::seconds(2);
    return made;
  }

  void set_range(Range range) {
    const std::lock_guard lock(mutex_);
    range_ = std::move(range);
  }
  void set_grant(Grant grant) {
    const std::lock_guard lock(mutex_);
    grant_ = std::move(grant);
  }
  void say(etcdserverpb::WatchResponse response, std::size_t watch = 0) {
    const std::lock_guard lock(mutex_);
    watch_lines_[watch].push_back(std::move(response));
    changed_.notify_all();
  }
  void say_ttl(std::int64_t id, std::int64_t ttl_s) {
    etcdserverpb::LeaseKeepAliveResponse response;
    response.set_id(id);
    response.set_ttl(ttl_s);
    const std::lock_guard lock(mutex_);
    ttl_lines_.push_back(std::move(response));
  }

  static etcdserverpb::WatchResponse created(std::int64_t revision, std::uint64_t cluster_id = kClusterId) {
    etcdserverpb::WatchResponse response = line(revision, cluster_id);
    response.set_created(true);
    return response;
  }
  /// A response of the watch the mirror makes (id 1), without events.
  static etcdserverpb::WatchResponse line(std::int64_t revision, std::uint64_t cluster_id = kClusterId) {
    etcdserverpb::WatchResponse response;
    response.mutable_header()->set_cluster_id(cluster_id);
    response.mutable_header()->set_revision(revision);
    response.set_watch_id(1);
    return response;
  }
  static etcdserverpb::WatchResponse put(std::int64_t revision, const std::string& key, const std::string& value) {
    etcdserverpb::WatchResponse response = line(revision);
    mvccpb::KeyValue& item = *response.add_events()->mutable_kv();
    item.set_key(key);
    item.set_value(value);
    item.set_mod_revision(revision);
    return response;
  }

 private:
  struct KvService : etcdserverpb::KV::Service {
    explicit KvService(FakeEtcd& owner) : fake(owner) {}
    grpc::Status Range(grpc::ServerContext*, const etcdserverpb::RangeRequest* request,
                       etcdserverpb::RangeResponse* response) override {
      const std::lock_guard lock(fake.mutex_);
      response->mutable_header()->set_cluster_id(kClusterId);
      response->mutable_header()->set_revision(10);
      return fake.range_ ? fake.range_(*request, response) : grpc::Status::OK;
    }
    FakeEtcd& fake;
  };

  struct WatchService : etcdserverpb::Watch::Service {
    using Stream = grpc::ServerReaderWriter<etcdserverpb::WatchResponse, etcdserverpb::WatchRequest>;
    explicit WatchService(FakeEtcd& owner) : fake(owner) {}
    grpc::Status Watch(grpc::ServerContext* context, Stream* stream) override {
      etcdserverpb::WatchRequest request;
      stream->Read(&request);
      std::unique_lock lock(fake.mutex_);
      auto& lines = fake.watch_lines_[fake.watches_++];
      while (!fake.is_over_ && !context->IsCancelled()) {
        if (lines.empty()) {
          fake.changed_.wait_for(lock, std::chrono::milliseconds(20));  // a stream that ends wakes nobody
          continue;
        }
        const etcdserverpb::WatchResponse line = lines.front();
        lines.pop_front();
        lock.unlock();
        stream->Write(line);
        lock.lock();
      }
      return grpc::Status::OK;
    }
    FakeEtcd& fake;
  };

  struct LeaseService : etcdserverpb::Lease::Service {
    explicit LeaseService(FakeEtcd& owner) : fake(owner) {}
    grpc::Status LeaseGrant(grpc::ServerContext*, const etcdserverpb::LeaseGrantRequest*,
                            etcdserverpb::LeaseGrantResponse* response) override {
      const std::lock_guard lock(fake.mutex_);
      if (fake.grant_) *response = fake.grant_();
      return grpc::Status::OK;
    }
    grpc::Status LeaseRevoke(grpc::ServerContext*, const etcdserverpb::LeaseRevokeRequest*,
                             etcdserverpb::LeaseRevokeResponse*) override {
      return {grpc::StatusCode::NOT_FOUND, "etcdserver: requested lease not found"};
    }
    grpc::Status LeaseKeepAlive(grpc::ServerContext*,
                                grpc::ServerReaderWriter<etcdserverpb::LeaseKeepAliveResponse,
                                                         etcdserverpb::LeaseKeepAliveRequest>* stream) override {
      etcdserverpb::LeaseKeepAliveRequest request;
      while (stream->Read(&request)) {
        etcdserverpb::LeaseKeepAliveResponse line;
        line.set_id(request.id());
        line.set_ttl(5);
        {
          const std::lock_guard lock(fake.mutex_);
          if (!fake.ttl_lines_.empty()) {
            line = fake.ttl_lines_.front();
            fake.ttl_lines_.pop_front();
          }
        }
        stream->Write(line);
      }
      return grpc::Status::OK;
    }
    FakeEtcd& fake;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  Range range_;
  Grant grant_;
  std::size_t watches_ = 0;  // that have come
  std::map<std::size_t, std::deque<etcdserverpb::WatchResponse>> watch_lines_;
  std::deque<etcdserverpb::LeaseKeepAliveResponse> ttl_lines_;
  KvService kv_{*this};
  WatchService watch_{*this};
  LeaseService lease_{*this};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace millrace::control::etcd
