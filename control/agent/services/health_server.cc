#include "control/agent/services/health_server.h"

#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace millrace::control::agent::services {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kMaxConnections = 128;
constexpr std::uint32_t kMaxHeaderBytes = 8192;
constexpr std::chrono::seconds kTimeout{5};

using Answer = std::function<http::response<http::string_body>()>;

/// One question and its answer, then the end.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Answer answer, std::function<void()> ended)
      : stream_(std::move(socket)), answer_(std::move(answer)), ended_(std::move(ended)) {
    parser_.header_limit(kMaxHeaderBytes);
    parser_.body_limit(0);
  }
  ~Connection() { ended_(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void run() {
    stream_.expires_after(kTimeout);
    http::async_read(stream_, buffer_, parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->respond();
    });
  }

 private:
  void respond() {
    response_ = answer_();
    http::async_write(stream_, response_, [self = shared_from_this()](error_code, std::size_t) {
      error_code ignored;
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
  Answer answer_;
  std::function<void()> ended_;
};

/// On all addresses of both families; of IPv4 alone where the kernel has no IPv6.
error_code open(tcp::acceptor& acceptor, std::uint16_t port) {
  error_code error;
  tcp::endpoint where(tcp::v6(), port);
  acceptor.open(where.protocol(), error);
  if (!error) {
    acceptor.set_option(asio::ip::v6_only(false), error);
  } else {
    where = tcp::endpoint(tcp::v4(), port);
    acceptor.open(where.protocol(), error);
  }
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(where, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

}  // namespace

class HealthServer::Impl {
 public:
  explicit Impl(std::function<bool()> is_healthy) : is_healthy_(std::move(is_healthy)) {
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Impl() {
    context_.stop();
    thread_.join();
    ending_ = true;  // connections that are left end with the context, and make place for nobody
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void update(const std::map<kube::ObjectKey, HealthCheck>& checks) {
    std::promise<void> done;
    asio::post(context_, [&] {
      apply(checks);
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  struct Listener {
    Listener(asio::io_context& context, HealthCheck now) : check(now), acceptor(context) {}
    HealthCheck check;
    tcp::acceptor acceptor;
    bool waiting = false;  // an accept is under way
  };

  void apply(const std::map<kube::ObjectKey, HealthCheck>& checks) {
    std::erase_if(listeners_, [&](const auto& entry) {
      const auto found = checks.find(entry.first);
      const bool stays = found != checks.end() && found->second.port == entry.second->check.port;
      error_code ignored;
      if (!stays) entry.second->acceptor.close(ignored);  // the accept under way holds the listener
      return !stays;
    });
    std::erase_if(refused_, [&](const auto& entry) { return !checks.contains(entry); });
    for (const auto& [key, check] : checks) {
      if (const auto found = listeners_.find(key); found != listeners_.end()) {
        found->second->check = check;
        continue;
      }
      auto listener = std::make_shared<Listener>(context_, check);
      if (const error_code error = open(listener->acceptor, check.port); error) {
        if (refused_.insert(key).second) {
          spdlog::warn("service {}/{}: healthCheckNodePort {}: {}", key.name_space, key.name, check.port,
                       error.message());
        }
        continue;
      }
      refused_.erase(key);
      listeners_.emplace(key, listener);
      accept(key, listener);
    }
  }

  void accept(const kube::ObjectKey& key, const std::shared_ptr<Listener>& listener) {
    if (listener->waiting || connections_ >= kMaxConnections) return;
    listener->waiting = true;
    listener->acceptor.async_accept([this, key, listener](error_code error, tcp::socket socket) {
      listener->waiting = false;
      if (error == asio::error::operation_aborted || !listener->acceptor.is_open()) return;
      if (!error) {
        ++connections_;
        std::make_shared<Connection>(
            std::move(socket), [this, key, listener] { return answer(key, listener->check); }, [this] { ended(); })
            ->run();
      }
      accept(key, listener);
    });
  }

  void ended() {
    --connections_;
    if (ending_) return;
    for (const auto& [key, listener] : listeners_) accept(key, listener);
  }

  http::response<http::string_body> answer(const kube::ObjectKey& key, const HealthCheck& check) const {
    const bool healthy = is_healthy_();
    const nlohmann::ordered_json body = {{"service", {{"namespace", key.name_space}, {"name", key.name}}},
                                         {"localEndpoints", check.local_endpoints},
                                         {"serviceProxyHealthy", healthy}};
    const bool good = healthy && check.local_endpoints > 0;
    http::response<http::string_body> response(good ? http::status::ok : http::status::service_unavailable, 11);
    response.set(http::field::content_type, "application/json");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("X-Load-Balancing-Endpoint-Weight", std::to_string(check.local_endpoints));
    response.keep_alive(false);
    response.body() = body.dump();
    response.prepare_payload();
    return response;
  }

  std::function<bool()> is_healthy_;
  std::size_t connections_ = 0;
  bool ending_ = false;
  std::set<kube::ObjectKey> refused_;  // told already
  asio::io_context context_{1};
  std::map<kube::ObjectKey, std::shared_ptr<Listener>> listeners_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::thread thread_;
};

HealthServer::HealthServer(std::function<bool()> is_healthy) : impl_(std::make_unique<Impl>(std::move(is_healthy))) {}
HealthServer::~HealthServer() = default;

void HealthServer::update(const std::map<kube::ObjectKey, HealthCheck>& checks) { impl_->update(checks); }

}  // namespace millrace::control::agent::services
