// What guests send with their messages is closed when they are gone, whatever the messages are: a switch that keeps a
// descriptor of each is one that a guest can leave without any.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/io/hostile_guest.h"
#include "tests/io/raw_guest.h"
#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

using Words = RawGuest::Words;

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

constexpr std::uint32_t kPlain = RawGuest::kVersion, kAnswered = RawGuest::kVersion | RawGuest::kNeedsReply;

/// What a guest gives away, one of each kind; it keeps its own.
class Descriptors {
 public:
  static constexpr std::uint64_t kHugeBytes = 40ull << 40;  // four of them are more than a process has room for

  Descriptors() {
    const int memory = ::memfd_create("memory", MFD_CLOEXEC);
    const int huge = ::memfd_create("huge", MFD_CLOEXEC);
    const int sealed = ::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (::ftruncate(memory, 1 << 20) != 0 || ::ftruncate(huge, kHugeBytes) != 0 ||
        ::fcntl(sealed, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0) {
      throw std::runtime_error("memfd");
    }
    all = {::eventfd(0, EFD_CLOEXEC), memory, huge, sealed, ::open("/dev/null", O_RDWR | O_CLOEXEC)};
  }
  ~Descriptors() {
    for (const int descriptor : all) ::close(descriptor);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  int event() const { return all[0]; }
  int memory() const { return all[1]; }
  int huge() const { return all[2]; }
  int sealed() const { return all[3]; }

  std::vector<int> all;
};

/// A table of `count` regions, each of `bytes` of its file.
Words table(std::uint32_t count, std::uint64_t bytes) {
  Words words = {count, 0};
  for (std::uint64_t i = 0; i < count; ++i) {
    for (const std::uint64_t value : {i * bytes, bytes, i * bytes, std::uint64_t{0}}) {
      words.push_back(static_cast<std::uint32_t>(value));
      words.push_back(static_cast<std::uint32_t>(value >> 32));
    }
  }
  return words;
}

struct Message {
  std::uint32_t request;
  std::uint32_t flags;
  Words payload;
  std::vector<int> descriptors;
  std::uint32_t more_bytes = 0;  // that the header tells of, and that do not come
};
struct Case {
  const char* name;
  std::vector<Message> messages;
};

class VhostDescriptors : public testing::Test {
 protected:
  /// The switch has read it all, and closed the connection.
  void send(std::span<const Message> messages) {
    RawGuest guest(path_);
    for (const Message& message : messages) {
      const auto bytes = static_cast<std::uint32_t>(4 * message.payload.size()) + message.more_bytes;
      if (!guest.send({message.request, message.flags, bytes}, message.payload, message.descriptors)) break;
    }
    guest.end();
    ASSERT_TRUE(guest.is_hung_up_on());
  }
  void expect_nothing_left(const std::string& name, std::size_t before) {
    EXPECT_TRUE(step_until(pause, [&] { return open_files() == before; }))
        << name << ": " << before << " descriptors before, " << open_files() << " behind";
  }
  const Directory directory_;
  const std::string path_ = directory_.path + "/pod.sock";
  const std::unique_ptr<MbufPool> pool_ = make_pool(4096);
  const std::unique_ptr<VhostPort> port_ = open_vhost(*pool_, path_);
  const Descriptors descriptors_;
};

TEST_F(VhostDescriptors, OfMessagesThatAreWrongAreClosed) {
  const Descriptors& d = descriptors_;
  const std::vector<int> eight(8, d.event()), twelve(12, d.event()), four_huge(4, d.huge());
  const Words ring0 = {0, 0}, no_ring = {300, 1};
  const std::vector<Case> cases = {
      {"with a message that takes none", {{RawGuest::kGetFeatures, kPlain, {}, eight}}},
      {"with one that nobody knows", {{99, kPlain, {}, eight}, {99, kAnswered, {}, eight}}},
      {"about a ring that there cannot be", {{RawGuest::kSetVringNum, kAnswered, no_ring, eight}}},
      {"of rings in flight that there cannot be", {{32, kAnswered, {1, 0, 0, 0, 400 | 256 << 16}, {d.memory()}}}},
      {"more than a message can have", {{RawGuest::kSetVringCall, kAnswered, ring0, twelve}}},
      {"a payload that is too long", {{RawGuest::kSetVringCall, kAnswered, Words(200), eight}}},
      {"a payload that does not come", {{RawGuest::kSetVringCall, kAnswered, {}, eight, 8}}},
      {"a payload that comes in part", {{RawGuest::kSetVringCall, kAnswered, {0}, eight, 4}}},
      {"to be called by, again and again", std::vector<Message>(20, {13, kAnswered, ring0, {d.event()}})},
      {"to be called by, and all forgotten",
       {{13, kAnswered, ring0, {d.event()}}, {4, kAnswered, {}, {}}, {13, kAnswered, ring0, {d.event()}}}},
      {"to kick by, again and again, of a ring",
       {{RawGuest::kSetVringNum, kAnswered, {0, 256}, {}},
        {RawGuest::kSetMemTable, kAnswered, table(1, 1 << 20), {d.memory()}},
        {9, kAnswered, {0, 0, 0, 0, 0x2000, 0, 0x1000, 0, 0, 0}, {}},
        {12, kAnswered, ring0, {d.event()}},
        {12, kAnswered, ring0, {d.event()}}}},
      {"to kick by, of no ring", std::vector<Message>(20, {12, kAnswered, ring0, {d.event()}})},
      {"to tell of errors by", std::vector<Message>(20, {14, kAnswered, ring0, {d.event()}})},
      {"to tell of a log by", std::vector<Message>(20, {7, kAnswered, {}, {d.event()}})},
      {"to ask the guest by", std::vector<Message>(20, {21, kAnswered, {}, {d.event()}})},
      {"memory, again and again", std::vector<Message>(20, {5, kAnswered, table(1, 1 << 20), {d.memory()}})},
      {"memory that cannot be mapped", std::vector<Message>(20, {5, kAnswered, table(1, 1 << 20), {d.sealed()}})},
      {"memory that is not all there is room for",
       std::vector<Message>(20, {5, kAnswered, table(4, Descriptors::kHugeBytes), four_huge})},
      {"memory of no bytes", std::vector<Message>(20, {5, kAnswered, table(1, 0), {d.memory()}})},
      {"memory of fewer files than regions", {{5, kAnswered, table(4, 1 << 20), {d.memory()}}}},
  };
  send({});
  const std::size_t before = open_files();
  for (const Case& sent : cases) {
    send(sent.messages);
    expect_nothing_left(sent.name, before);
  }
}

/// Messages of any kind, with descriptors of any kind; the seed makes them the same again.
TEST_F(VhostDescriptors, OfMessagesByChanceAreClosed) {
  constexpr unsigned kGuests = 400, kMessages = 40;
  send({});
  const std::size_t before = open_files();
  for (unsigned seed = 0; seed < kGuests; ++seed) {
    std::minstd_rand chance(seed + 1);
    const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(chance() % limit); };
    std::vector<Message> messages;
    for (unsigned i = 0; i < kMessages; ++i) {
      Message message{1 + below(41), below(50) == 0 ? kPlain : kAnswered, {}, {}};
      switch (below(4)) {
        case 0: message.payload = table(1 + below(3), 1 << 20); break;
        case 1: message.payload = {below(300), below(3) == 0 ? 256u : below(2)}; break;
        default:
          message.payload.resize(below(12));
          for (std::uint32_t& word : message.payload) word = below(3) == 0 ? below(1u << 31) : below(4);
      }
      for (unsigned left = below(3) == 0 ? below(13) : below(3); left > 0; --left) {
        message.descriptors.push_back(descriptors_.all[below(static_cast<std::uint32_t>(descriptors_.all.size()))]);
      }
      messages.push_back(message);
    }
    send(messages);
  }
  expect_nothing_left("all", before);
  HostileGuest honest(path_);
  ASSERT_TRUE(wait_for(*port_, true));
  honest.send({}, numbered_frame(1, 100), 1 << 16);
  EXPECT_EQ(next_frame(*pool_, *port_), numbered_frame(1, 100));
}

}  // namespace
}  // namespace millrace::tests
