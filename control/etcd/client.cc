#include "control/etcd/client.h"

#include <fmt/format.h>

#include <utility>

#include "control/etcd/prefix.h"
#include "control/etcd/reads.h"
#include "control/etcd/session.h"

namespace millrace::control::etcd {
namespace {

net::Result<void> check_count(const char* what, std::size_t count) {
  if (count <= kTxnOperations) return {};
  return net::invalid_argument(
      fmt::format("a transaction of etcd has at most {} {}, not {}", kTxnOperations, what, count));
}

net::Result<void> check_key(const std::string& key) {
  if (!key.empty()) return {};
  return net::invalid_argument("a key of etcd is not empty");
}

net::Result<void> check_size(const google::protobuf::Message& request) {
  const std::size_t bytes = request.ByteSizeLong();
  if (bytes <= kRequestBytes) return {};
  return net::invalid_argument(fmt::format("a request to etcd has at most {} bytes, not {}", kRequestBytes, bytes));
}

etcdserverpb::PutRequest to_request(const Put& put) {
  etcdserverpb::PutRequest request;
  request.set_key(put.key);
  request.set_value(put.value);
  request.set_lease(put.lease);
  return request;
}

void add_compare(const Compare& compare, etcdserverpb::Compare* to) {
  to->set_result(etcdserverpb::Compare::EQUAL);
  to->set_key(compare.key);
  switch (compare.target) {
    case Compare::Target::kVersion:
      to->set_target(etcdserverpb::Compare::VERSION);
      to->set_version(compare.value);
      break;
    case Compare::Target::kModRevision:
      to->set_target(etcdserverpb::Compare::MOD);
      to->set_mod_revision(compare.value);
      break;
    case Compare::Target::kCreateRevision:
      to->set_target(etcdserverpb::Compare::CREATE);
      to->set_create_revision(compare.value);
      break;
  }
}

net::Result<etcdserverpb::TxnRequest> to_request(const Txn& txn) {
  if (auto good = check_count("comparisons", txn.compares.size()); !good) return good.error();
  if (auto good = check_count("puts and deletions", txn.puts.size() + txn.erases.size()); !good) return good.error();
  if (auto good = check_count("reads", txn.ranges_else.size()); !good) return good.error();
  etcdserverpb::TxnRequest request;
  for (const Compare& compare : txn.compares) {
    if (auto good = check_key(compare.key); !good) return good.error();
    add_compare(compare, request.add_compare());
  }
  for (const Put& put : txn.puts) {
    if (auto good = check_key(put.key); !good) return good.error();
    *request.add_success()->mutable_request_put() = to_request(put);
  }
  for (const Erase& erase : txn.erases) {
    if (auto good = check_key(erase.key); !good) return good.error();
    request.add_success()->mutable_request_delete_range()->set_key(erase.key);
  }
  for (const std::string& key : txn.ranges_else) {
    if (auto good = check_key(key); !good) return good.error();
    request.add_failure()->mutable_request_range()->set_key(key);
  }
  if (auto good = check_size(request); !good) return good.error();
  return request;
}

/// What was written, or an error as Session::run has them.
template <class Request, class Response, class Stub>
net::Result<Response> write(Session& session, const Request& request,
                            grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  Response response;
  const auto done = session.run(
      Session::Kind::kOnce,
      [&](Session::Member& member, grpc::ClientContext* context) {
        return (member.kv.get()->*method)(context, request, &response);
      },
      session.timeout());
  if (!done) return done.error();
  return response;
}

}  // namespace

Client::Client(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Client::~Client() = default;

net::Result<std::unique_ptr<Client>> Client::open(Options options) {
  auto session = Session::open(std::move(options));
  if (!session) return session.error();
  return std::unique_ptr<Client>(new Client(std::move(*session)));
}

net::Result<RangeResult> Client::range(const std::string& prefix, std::int64_t revision, std::int64_t limit,
                                       const std::string& from_key) {
  return read_range(*session_, {.prefix = prefix, .from_key = from_key, .revision = revision, .limit = limit});
}

net::Result<std::optional<KeyValue>> Client::get(const std::string& key) {
  if (auto good = check_key(key); !good) return good.error();
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  etcdserverpb::RangeResponse response;
  const auto done = session_->run(
      Session::Kind::kRepeat,
      [&](Session::Member& member, grpc::ClientContext* context) {
        return member.kv->Range(context, request, &response);
      },
      session_->timeout());
  if (!done) return done.error();
  if (response.kvs().empty()) return std::optional<KeyValue>();
  if (response.kvs(0).key() != key) return net::internal_error("etcd gives a key that was not asked for");
  return std::optional<KeyValue>(to_key_value(response.kvs(0)));
}

net::Result<TxnResult> Client::txn(const Txn& txn) {
  const auto request = to_request(txn);
  if (!request) return request.error();
  const auto response = write(*session_, *request, &etcdserverpb::KV::Stub::Txn);
  if (!response) return response.error();
  TxnResult result{.succeeded = response->succeeded(), .revision = response->header().revision(), .found = {}};
  for (const etcdserverpb::ResponseOp& part : response->responses()) {
    for (const mvccpb::KeyValue& item : part.response_range().kvs()) result.found.push_back(to_key_value(item));
  }
  return result;
}

net::Result<std::int64_t> Client::put(const Put& put) {
  if (auto good = check_key(put.key); !good) return good.error();
  const etcdserverpb::PutRequest request = to_request(put);
  if (auto good = check_size(request); !good) return good.error();
  const auto response = write(*session_, request, &etcdserverpb::KV::Stub::Put);
  if (!response) return response.error();
  return response->header().revision();
}

net::Result<std::int64_t> Client::erase_prefix(const std::string& prefix) {
  if (prefix.empty()) return net::invalid_argument("to delete every key of etcd is not offered");
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(prefix);
  request.set_range_end(prefix_end(prefix));
  const auto response = write(*session_, request, &etcdserverpb::KV::Stub::DeleteRange);
  if (!response) return response.error();
  return response->header().revision();
}

}  // namespace millrace::control::etcd
