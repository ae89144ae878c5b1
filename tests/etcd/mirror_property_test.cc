// Whatever happens, the mirror goes through states that etcd was in, and ends in the one etcd is in. A writer of random
// changes knows the state at every revision, since nobody else writes; the server is compacted and killed under the
// mirror, and the mirror is held while it happens.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "control/etcd/mirror.h"
#include "tests/etcd/recorder.h"
#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using namespace std::chrono_literals;

constexpr MirrorTimes kTimes{.silence = 300ms, .answer = 500ms, .first_backoff = 10ms, .last_backoff = 100ms};
constexpr int kSteps = 400;
constexpr std::size_t kLeastBatches = 10;
constexpr int kKeys = 24;

class Writer {
 public:
  Writer(Server& server, unsigned seed) : server_(server), random_(seed), client_(open(server.options())) {}

  void step(Recorder& recorder) {
    const int dice = below(200);
    if (dice < 100) {
      put_one();
    } else if (dice < 130) {
      write({.compares = {}, .puts = {}, .erases = {{.key = key()}}, .ranges_else = {}});
    } else if (dice < 180) {
      write(random_txn());
    } else if (dice < 188) {
      if (revision_ > compacted_) server_.ctl({"compact", std::to_string(compacted_ = revision_)});
    } else if (dice < 190) {
      server_.kill();
      server_.start();
      server_.wait_ready();
    } else if (dice < 195) {
      recorder.hold();
    } else {
      recorder.release();
    }
  }

  std::int64_t revision() const { return revision_; }
  /// The state of the prefix at `revision`.
  State state_at(std::int64_t revision) const {
    const auto after = states_.upper_bound(revision);
    return after == states_.begin() ? State{} : std::prev(after)->second;
  }
  net::Result<RangeResult> read() { return client_->range("/m/", 0, 0); }

  void put_one() {
    write({.compares = {}, .puts = {{.key = key(), .value = value(), .lease = 0}}, .erases = {}, .ranges_else = {}});
  }

 private:
  int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }
  // A few keys of another prefix, so that revisions pass which the mirror does not see.
  std::string key() { return fmt::format("{}{:02}", below(8) == 0 ? "/other/" : "/m/", below(kKeys)); }
  std::string value() {
    return std::string(static_cast<std::size_t>(below(4) == 0 ? below(100'000) : below(20)), 'v') +
           std::to_string(++values_);
  }

  Txn random_txn() {
    Txn txn;
    std::set<std::string> keys;
    for (int i = 1 + below(8); i > 0; --i) keys.insert(key());
    for (const std::string& one : keys) {
      if (below(3) == 0) {
        txn.erases.push_back({.key = one});
      } else {
        txn.puts.push_back({.key = one, .value = value(), .lease = 0});
      }
    }
    return txn;
  }

  void write(const Txn& txn) {
    const auto done = client_->txn(txn);
    if (!done.ok()) {  // the connection died with the server: look what is there
      const auto now = read();
      ASSERT_TRUE(now.ok()) << now.error().message;
      revision_ = now->revision;
      state_ = to_state(now->items);
    } else {
      revision_ = done->revision;
      for (const Put& put : txn.puts) set(put.key, put.value);
      for (const Erase& erase : txn.erases) state_.erase(erase.key);
    }
    states_[revision_] = state_;
  }
  void set(const std::string& key, const std::string& value) {
    if (key.starts_with("/m/")) state_[key] = value;
  }

  Server& server_;
  std::mt19937 random_;
  std::unique_ptr<Client> client_;
  int values_ = 0;
  std::int64_t revision_ = 1, compacted_ = 1;
  State state_;
  std::map<std::int64_t, State> states_;
};

class MirrorProperty : public testing::TestWithParam<unsigned> {};

TEST_P(MirrorProperty, ItIsAlwaysInAStateThatEtcdWasIn) {
  const auto server = start_server();
  const auto client = open(server->options());
  Recorder recorder;
  Mirror mirror(*client, "/m/", recorder.on_batch(), kTimes);
  mirror.start();
  Writer writer(*server, GetParam());
  for (int i = 0; i < kSteps && !HasFailure(); ++i) {
    writer.step(recorder);
    // Also through the question whether nothing changed, in the middle of everything.
    if (i % 40 == 0) mirror.wait_for_revision(writer.revision(), 30ms);
  }
  recorder.release();
  ASSERT_TRUE(mirror.wait_for_revision(writer.revision(), Recorder::kPatience)) << mirror.status().message;
  // On a busy machine the steps come in a few large batches: then some more, one at a time.
  for (int i = 0; i < kSteps && recorder.batches().size() <= kLeastBatches; ++i) {
    writer.put_one();
    ASSERT_TRUE(mirror.wait_for_revision(writer.revision(), Recorder::kPatience)) << mirror.status().message;
  }
  mirror.stop();
  for (const Batch& batch : recorder.batches()) {
    ASSERT_EQ(recorder.state_at(batch.revision), writer.state_at(batch.revision)) << "revision " << batch.revision;
  }
  const auto truth = writer.read();
  ASSERT_TRUE(truth.ok()) << truth.error().message;
  EXPECT_EQ(mirror.list("/m/"), truth->items) << "every field of every key";
  EXPECT_EQ(recorder.state(), to_state(truth->items));
  EXPECT_GT(recorder.batches().size(), kLeastBatches);
  RecordProperty("relists", static_cast<int>(mirror.status().relists));
}

INSTANTIATE_TEST_SUITE_P(Seeds, MirrorProperty, testing::Range(1U, 5U));

}  // namespace
}  // namespace millrace::control::etcd
