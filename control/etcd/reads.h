/// Reading a range: for the client and, so that it can be ended from another thread, for the mirror.
///
/// Checked: what etcd answers is held against what was asked: keys within the range, ascending,
///          revisions in [1, kLastRevision]. Else kInternal, and nothing is taken from it.
#pragma once

#include <cstdint>
#include <string>

#include "control/etcd/client.h"
#include "control/etcd/interrupt.h"
#include "control/etcd/rpc.pb.h"
#include "control/etcd/session.h"

namespace millrace::control::etcd {

inline constexpr std::int64_t kLastRevision = std::int64_t{1} << 62;  // no cluster counts that far; one more still fits

struct RangeQuestion {
  std::string prefix;
  std::string from_key;             // "": from the first key of the prefix
  std::int64_t revision = 0;        // 0: the newest
  std::int64_t limit = 0;           // 0: all
  std::int64_t changed_after = -1;  // not below 0: items are only those changed after this revision, without values
};

net::Result<RangeResult> read_range(Session& session, const RangeQuestion& question, Interrupt* interrupt = nullptr);

KeyValue to_key_value(const mvccpb::KeyValue& from);

}  // namespace millrace::control::etcd
