// A flow table against a plain map: random operations, a clock that jumps and wraps.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <unordered_map>

#include "tests/nat/flow_samples.h"

namespace millrace::nat {
namespace {

using tests::key_number;

constexpr std::uint32_t kKeys = 2500;  // more than the limit: the table is full now and then
constexpr TickMs kHourMs = 3'600'000;

struct ModelFlow {
  std::uint32_t original = 0;
  std::uint32_t reply = 0;  // the reply's tuple is the reverse of this number's: as if translated
  FlowTimer timer = FlowTimer::kFree;
  TickMs last_seen = 0;
};

/// The table and what it should hold. A flow is known by the numbers of its tuples.
template <typename Line>
class Model : public FlowObserver<Line> {
 public:
  using Key = typename Line::Key;

  Model(std::uint32_t seed, TickMs start, const Timeouts& timeouts)
      : random_(seed), timeouts_(timeouts), now_(start), table_(kMinFlowLimit, seed, timeouts, *this) {}

  void flow_ends(const Line& original) noexcept override { ended_.push_back(original.key); }

  /// Where it is crowded hardly any time passes, so that the table fills up.
  void step(bool is_crowded) {
    switch (below(16)) {
      case 0: now_ += is_crowded ? below(2) : below(3) == 0 ? below(200'000) : below(3000); break;
      case 1: sweep(); break;
      case 2:
        if (!is_crowded) long_jump();
        break;
      case 3:
      case 4: erase(); break;
      case 5:
      case 6:
      case 7: touch(); break;
      case 8: set_timer(); break;
      default: insert(); break;
    }
    ASSERT_EQ(table_.size(), flows_.size());
  }

  void check_all() {
    for (std::uint32_t number = 0; number < kKeys; ++number) {
      const auto flow = flows_.find(number);
      const Line* const line = table_.find(key_number<Key>(number));
      ASSERT_EQ(line != nullptr, flow != flows_.end()) << number;
      const auto by_reply = replies_.find(number);
      const Line* const reply = table_.find(key_number<Key>(number).reversed());
      ASSERT_EQ(reply != nullptr, by_reply != replies_.end()) << number;
      if (reply != nullptr) { ASSERT_EQ(reply->partner().key, key_number<Key>(by_reply->second)); }
      if (line == nullptr) continue;
      const FlowId id = table_.id_of(*line);
      ASSERT_EQ(table_.at(id), line);
      ASSERT_EQ(table_.timer(*line), flow->second.timer);
      ASSERT_EQ(line->bytes, number);
      const TickMs late = flow->second.last_seen - table_.last_seen(id);
      ASSERT_TRUE(is_steady(flow->second.timer) ? late < kSeenGrainMs : late == 0) << late;
    }
  }

  std::uint64_t full = 0, taken = 0, made = 0, swept = 0, longest_idle_ms = 0;
  std::uint64_t evicted() const { return table_.evicted(); }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_()) % limit; }
  std::uint32_t number() { return below(kKeys); }
  FlowTimer any_timer() { return static_cast<FlowTimer>(1 + below(kFlowTimerCount - 1)); }
  Line* line_of(std::uint32_t number) { return table_.find(key_number<Key>(number)); }

  void remove(std::uint32_t original) {
    replies_.erase(flows_.at(original).reply);
    flows_.erase(original);
  }

  /// Takes what the table says has ended out of the model, if `may_end` agrees.
  template <typename MayEnd>
  void forget(MayEnd may_end) {
    for (const Key& key : ended_) {
      const auto flow = std::find_if(flows_.begin(), flows_.end(),
                                     [&](const auto& entry) { return key_number<Key>(entry.first) == key; });
      ASSERT_NE(flow, flows_.end());
      EXPECT_TRUE(may_end(flow->second)) << "timer " << static_cast<int>(flow->second.timer) << " idle "
                                         << now_ - flow->second.last_seen;
      remove(flow->first);
    }
    ended_.clear();
  }

  void insert() {
    const std::uint32_t original = number();
    const std::uint32_t reply = below(4) == 0 ? number() : original;
    const FlowTimer timer = any_timer();
    Line* line = nullptr;
    const std::size_t before = flows_.size();
    const Inserted result =
        table_.insert(key_number<Key>(original), key_number<Key>(reply).reversed(), timer, now_, line);
    if (flows_.contains(original) || replies_.contains(reply)) {
      ++taken;
      ASSERT_EQ(result, Inserted::kTaken);
      ASSERT_TRUE(ended_.empty());
      return;
    }
    ASSERT_NE(result, Inserted::kTaken);
    ASSERT_LE(ended_.size(), before >= kMinFlowLimit * kPressurePercent / 100 ? kEvictionBatch : 0u);
    forget([&](const ModelFlow& flow) {
      return (is_half_open(flow.timer) || is_closed(flow.timer)) && flow.last_seen != now_;
    });
    ASSERT_EQ(result == Inserted::kFull, flows_.size() == kMinFlowLimit);
    if (result == Inserted::kFull) {
      ++full;
      return;
    }
    ++made;
    line->bytes = original;
    flows_[original] = {original, reply, timer, now_};
    replies_[reply] = original;
  }

  void erase() {
    const auto flow = flows_.find(number());
    if (flow == flows_.end()) return;
    Line* const line = line_of(flow->first);
    ASSERT_NE(line, nullptr);
    table_.erase(below(2) == 0 ? *line : line->partner());
    ASSERT_EQ(ended_.size(), 1u);
    ASSERT_EQ(ended_[0], key_number<Key>(flow->first));
    ended_.clear();
    remove(flow->first);
  }

  void touch() {
    const auto flow = flows_.find(number());
    if (flow == flows_.end()) return;
    Line* const line = line_of(flow->first);
    ASSERT_NE(line, nullptr);
    longest_idle_ms = std::max<std::uint64_t>(longest_idle_ms, now_ - flow->second.last_seen);
    table_.touch(below(2) == 0 ? *line : line->partner(), now_);
    flow->second.last_seen = now_;
  }

  void set_timer() {
    const auto flow = flows_.find(number());
    if (flow == flows_.end()) return;
    Line* const line = line_of(flow->first);
    ASSERT_NE(line, nullptr);
    const FlowTimer timer = any_timer();
    if (is_half_open(timer) && !is_half_open(flow->second.timer)) return;
    flow->second.timer = timer;
    // As the datapath does: a packet is what changes a timer.
    table_.touch(*line, now_);
    flow->second.last_seen = now_;
    table_.set_timer(below(2) == 0 ? *line : line->partner(), flow->second.timer, now_);
  }

  void sweep() {
    const unsigned budget = below(2) == 0 ? below(100) : 1u << 20;
    swept += table_.sweep(now_, budget);
    forget([&](const ModelFlow& flow) { return now_ - flow.last_seen >= timeouts_.of(flow.timer); });
    if (budget < table_.opened()) return;
    for (const auto& [original, flow] : flows_) {
      const std::uint64_t timeout = timeouts_.of(flow.timer);
      ASSERT_LT(now_ - flow.last_seen, timeout + timeout / 8 + kSeenGrainMs);
    }
  }

  /// Hours, but never more than 9 between two sweeps of all: what the table asks for.
  void long_jump() {
    if (below(50) != 0) return;
    for (unsigned jumps = below(4); jumps > 0; --jumps) {
      now_ += below(8 * kHourMs);
      swept += table_.sweep(now_, 1u << 20);
      forget([&](const ModelFlow& flow) { return now_ - flow.last_seen >= timeouts_.of(flow.timer); });
    }
  }

  std::mt19937 random_;
  const Timeouts timeouts_;
  TickMs now_;
  FlowTable<Line> table_;
  std::vector<Key> ended_;
  std::map<std::uint32_t, ModelFlow> flows_;                  // by number of the original tuple
  std::unordered_map<std::uint32_t, std::uint32_t> replies_;  // number of the reply's tuple -> of the original
};

template <typename Line>
class FlowTableModel : public ::testing::Test {};
using Lines = ::testing::Types<FlowLineV4, FlowLineV6>;
TYPED_TEST_SUITE(FlowTableModel, Lines);

TYPED_TEST(FlowTableModel, DoesWhatAMapDoes) {
  Timeouts timeouts;
  timeouts.ms[static_cast<unsigned>(FlowTimer::kTcpEstablished)] = 30 * kHourMs;  // longer than FlowLine::seen counts
  timeouts.ms[static_cast<unsigned>(FlowTimer::kOther)] = kMaxTimeoutMs;
  std::uint64_t full = 0, taken = 0, made = 0, swept = 0, evicted = 0, longest_idle_ms = 0;
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    Model<TypeParam> model(seed, 0u - kHourMs, timeouts);  // the clock wraps within the hour
    for (unsigned step = 0; step < 30'000; ++step) {
      model.step(step / 5000 % 2 == 0);
      if (this->HasFatalFailure()) FAIL() << "step " << step;
      if (step % 3000 == 0) model.check_all();
      if (this->HasFatalFailure()) FAIL() << "after step " << step;
    }
    full += model.full, taken += model.taken, made += model.made, swept += model.swept, evicted += model.evicted();
    longest_idle_ms = std::max(longest_idle_ms, model.longest_idle_ms);
  }
  // It was no idle run: all of this happened.
  EXPECT_GT(taken, 1000u);
  EXPECT_GT(made, 10'000u);
  EXPECT_GT(swept, 1000u);
  EXPECT_GT(evicted, 100u);
  EXPECT_GT(full, 10u);
  EXPECT_GT(longest_idle_ms, std::uint64_t{kSeenGrainMs} << 15);
}

}  // namespace
}  // namespace millrace::nat
