#include "control/etcd/reads.h"

#include <fmt/format.h>

#include "control/etcd/prefix.h"

namespace millrace::control::etcd {
namespace {

etcdserverpb::RangeRequest to_request(const RangeQuestion& question) {
  etcdserverpb::RangeRequest request;
  request.set_key(question.from_key.empty() ? prefix_start(question.prefix) : question.from_key);
  request.set_range_end(prefix_end(question.prefix));
  request.set_revision(question.revision);
  request.set_limit(question.limit);
  if (question.changed_after >= 0) {
    request.set_keys_only(true);
    request.set_min_mod_revision(question.changed_after + 1);
  }
  return request;
}

bool is_revision(std::int64_t number) { return number > 0 && number <= kLastRevision; }

/// nullptr: the answer is one to this question.
const char* oddity_of(const etcdserverpb::RangeResponse& answer, const RangeQuestion& question) {
  if (!is_revision(answer.header().revision())) return "an answer without a revision";
  if (answer.count() < 0 || (answer.more() && answer.kvs().empty())) return "a count that cannot be";
  const std::string* last = nullptr;
  for (const mvccpb::KeyValue& item : answer.kvs()) {
    if (!item.key().starts_with(question.prefix) || item.key() < question.from_key)
      return "a key that was not asked for";
    if (last != nullptr && item.key() <= *last) return "keys out of order";
    if (!is_revision(item.mod_revision())) return "a key without a revision";
    last = &item.key();
  }
  return nullptr;
}

}  // namespace

KeyValue to_key_value(const mvccpb::KeyValue& from) {
  return {.key = from.key(),
          .value = from.value(),
          .create_revision = from.create_revision(),
          .mod_revision = from.mod_revision(),
          .version = from.version(),
          .lease = from.lease()};
}

net::Result<RangeResult> read_range(Session& session, const RangeQuestion& question, Interrupt* interrupt) {
  if (question.revision < 0 || question.limit < 0)
    return net::invalid_argument("a revision and a limit are not negative");
  if (!question.from_key.empty() && !question.from_key.starts_with(question.prefix)) {
    return net::invalid_argument("the first key to read is not of the prefix");
  }
  const etcdserverpb::RangeRequest request = to_request(question);
  etcdserverpb::RangeResponse answer;
  std::string url;
  const auto done = session.run(
      Session::Kind::kRepeat,
      [&](Session::Member& member, grpc::ClientContext* context) {
        url = member.endpoint.url;
        return member.kv->Range(context, request, &answer);
      },
      session.timeout(), interrupt);
  if (!done) return done.error();
  if (const char* oddity = oddity_of(answer, question)) {
    return net::internal_error(fmt::format("etcd {} gives {}", url, oddity));
  }
  RangeResult result{.revision = answer.header().revision(),
                     .cluster_id = answer.header().cluster_id(),
                     .items = {},
                     .more = answer.more(),
                     .count = answer.count()};
  result.items.reserve(static_cast<std::size_t>(answer.kvs_size()));
  for (const mvccpb::KeyValue& item : answer.kvs()) result.items.push_back(to_key_value(item));
  return result;
}

}  // namespace millrace::control::etcd
