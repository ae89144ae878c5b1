/// HostileGuest: a vhost-user guest made by hand, whose rings and descriptors say what the test wants.
///
/// Shape:   one queue pair of split rings with kRingSize entries, 1 MiB of memory that begins at the guest's address 0,
///          no indirect and no mergeable buffers: VIRTIO_F_VERSION_1 and what else it is told is all it takes. Ring 0
///          is what it receives by, ring 1 what it sends by.
/// Source:  QEMU, docs/interop/vhost-user.rst ("Message Specification"); virtio 1.2, section 2.7 (split virtqueues).
#pragma once

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace millrace::tests {

struct VringDescriptor {
  std::uint64_t address = 0;  // in the guest
  std::uint32_t length = 0;
  std::uint16_t flags = 0;  // 1: next is valid, 2: the device writes, 4: a table of descriptors
  std::uint16_t next = 0;
};
static_assert(sizeof(VringDescriptor) == 16);

/// In front of every packet (virtio 1.2, section 5.1.6); little endian, as this machine is.
struct VirtioNetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1, kGsoNone = 0, kGsoTcp4 = 1, kGsoUdp = 3, kGsoTcp6 = 4;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_bytes = 0;
  std::uint16_t gso_size_bytes = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t buffers = 0;
};
static_assert(sizeof(VirtioNetHeader) == 12);

class HostileGuest {
 public:
  /// Feature bits: what it sends unfinished, and what it takes so.
  static constexpr std::uint64_t kSendsUnfinished = 1 << 0 | 1 << 11 | 1 << 12;  // CSUM, HOST_TSO4, HOST_TSO6
  static constexpr std::uint64_t kTakesUnfinished = 1 << 1 | 1 << 7 | 1 << 8;    // GUEST_CSUM, GUEST_TSO4, GUEST_TSO6
  static constexpr std::uint64_t kEventIndex = 1ull << 29,
                                 kPackedRings = 1ull << 34 | 1ull << 28;  // with indirect descriptors
  static constexpr std::uint32_t kMemoryBytes = 1 << 20;
  static constexpr std::uint16_t kRingSize = 256;
  static constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;
  static constexpr std::uint64_t kBuffers = 0x40000;  // behind all rings

  explicit HostileGuest(const std::string& path, std::uint64_t features = 0) : features_(kVersion1 | features) {
    memory_fd_ = ::memfd_create("guest", MFD_CLOEXEC);
    if (memory_fd_ < 0 || ::ftruncate(memory_fd_, kMemoryBytes) != 0) throw std::runtime_error("memfd");
    memory_ = static_cast<std::byte*>(::mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd_, 0));
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
    introduce();
  }
  ~HostileGuest() {
    for (const int descriptor : {socket_, memory_fd_}) ::close(descriptor);
    for (const int descriptor : events_) ::close(descriptor);
    ::munmap(memory_, kMemoryBytes);
  }
  HostileGuest(const HostileGuest&) = delete;
  HostileGuest& operator=(const HostileGuest&) = delete;

  void set_descriptor(unsigned ring, unsigned index, const VringDescriptor& descriptor) {
    std::memcpy(at(ring_base(ring) + index * sizeof descriptor), &descriptor, sizeof descriptor);
  }
  /// Offers `heads` and says that `count` more are there than before: these need not agree.
  void offer(unsigned ring, const std::vector<std::uint16_t>& heads, std::uint16_t count) {
    auto* available = reinterpret_cast<std::uint16_t*>(at(ring_base(ring) + kAvailable));
    std::uint16_t index = available[1];
    for (std::size_t i = 0; i < heads.size(); ++i) available[2 + (index + i) % kRingSize] = heads[i];
    index = static_cast<std::uint16_t>(index + count);
    std::atomic_ref(available[1]).store(index, std::memory_order_release);
  }

  /// Sends one packet that lies at kBuffers, in descriptors of `descriptor_bytes`.
  void send(const VirtioNetHeader& header, const std::vector<std::uint8_t>& frame, std::uint32_t descriptor_bytes) {
    std::memcpy(at(kBuffers), &header, sizeof header);
    std::memcpy(at(kBuffers + sizeof header), frame.data(), frame.size());
    chain(1, static_cast<std::uint32_t>(sizeof header + frame.size()), descriptor_bytes, 0);
    offer(1, {0}, 1);
  }
  /// Offers one buffer of `bytes`, in descriptors of `descriptor_bytes`; received() is what is in it.
  void make_room(std::uint32_t bytes, std::uint32_t descriptor_bytes = 1 << 16) {
    chain(0, bytes, descriptor_bytes, kWrite);
    offer(0, {0}, 1);
  }
  /// Takes back what is behind the first `left` bytes of the memory it lent; whoever touches that gets SIGBUS.
  void take_back(std::uint64_t left) {
    if (::ftruncate(memory_fd_, static_cast<off_t>(left)) != 0) throw std::runtime_error("ftruncate");
  }
  /// Messages that the switch answers: true when it did what they say.
  bool lend_elsewhere(int memory_fd) {
    Memory other = memory();
    other.bytes += 0x1000;  // one that is as before is taken for the same
    return ask(kSetMemTable, other, memory_fd);
  }
  bool name_ring_again(std::uint32_t ring) { return ask(kSetVringAddr, address_of(ring)); }
  bool size_ring(std::uint32_t ring, std::uint32_t entries) { return ask(kSetVringNum, VringState{ring, entries}); }
  /// By its own addresses.
  bool place_ring(std::uint32_t ring, std::uint64_t descriptors, std::uint64_t used, std::uint64_t available) {
    return ask(kSetVringAddr, VringAddress{ring, 0, here(descriptors), here(used), here(available), 0});
  }
  bool go_on_at(std::uint32_t ring, std::uint32_t base) { return ask(kSetVringBase, VringState{ring, base}); }
  bool want(std::uint64_t features) { return ask(kSetFeatures, kVersion1 | features); }
  bool kick_by_new(std::uint32_t ring) {
    events_.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return ask(kSetVringKick, std::uint64_t{ring}, events_.back());
  }
  /// The device is to stop, and to go on, as when a machine is stopped and goes on.
  void stop(std::uint32_t ring) { ask(kGetVringBase, VringState{ring, 0}); }
  bool start(std::uint32_t ring) {
    bool is_done = ask(kSetVringNum, VringState{ring, kRingSize}) && ask(kSetVringAddr, address_of(ring));
    for (const Request request : {kSetVringCall, kSetVringKick}) {
      events_.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      is_done = ask(request, std::uint64_t{ring}, events_.back()) && is_done;
    }
    return is_done;
  }
  /// As start(), with nothing to be added to the eventfd that it is called by, whatever is done to that meanwhile.
  bool start_without_calls(std::uint32_t ring) {
    events_.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    fill(events_.back());
    const std::jthread insistent([call = events_.back()](const std::stop_token& stop) {
      while (!stop.stop_requested()) ::fcntl(call, F_SETFL, 0);
    });
    const bool is_called = be_called_by(ring, events_.back());
    events_.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return ask(kSetVringNum, VringState{ring, kRingSize}) && ask(kSetVringAddr, address_of(ring)) &&
           ask(kSetVringKick, std::uint64_t{ring}, events_.back()) && is_called;
  }
  /// With VIRTIO_F_EVENT_IDX: when the next descriptor of the ring is used.
  void want_call(unsigned ring) {
    const auto* used = reinterpret_cast<std::uint16_t*>(at(ring_base(ring) + kUsed));
    auto* available = reinterpret_cast<std::uint16_t*>(at(ring_base(ring) + kAvailable));
    std::atomic_ref(available[2 + kRingSize]).store(used[1], std::memory_order_relaxed);
  }
  /// Nothing can be added to the eventfds that it is called by: whoever tries waits until it reads them. It has the
  /// last word on that, whatever was done to them when the switch got them.
  void take_no_calls() {
    for (const std::size_t call : {0u, 2u}) {
      take_calls(events_[call]);
      fill(events_[call]);
    }
  }
  /// Lets go on who waits for it. True when it had been called, by any queue.
  bool take_calls() {
    bool was_called = false;
    for (const int descriptor : events_) was_called = take_calls(descriptor) || was_called;
    return was_called;
  }
  /// It is to be called by `descriptor`.
  bool be_called_by(std::uint32_t ring, int descriptor) { return ask(kSetVringCall, std::uint64_t{ring}, descriptor); }
  /// By the eventfd that it gave last, of its sending queue.
  void kick() { ::eventfd_write(events_.back(), 1); }
  bool lend_inflight(int memory_fd) {
    struct Inflight {
      std::uint64_t bytes, offset;
      std::uint16_t queues, queue_size, padding[2];
    };
    return ask(kSetInflightFd, Inflight{4096, 0, 2, kRingSize, {}}, memory_fd, 20);
  }
  bool lend_log(int memory_fd) {
    struct Log {
      std::uint64_t bytes, offset;
    };
    return ask(kSetLogBase, Log{4096, 0}, memory_fd);
  }
  bool ask_for_inflight() {
    struct Inflight {
      std::uint64_t bytes, offset;
      std::uint16_t queues, queue_size, padding[2];
    };
    return ask(kGetInflightFd, Inflight{0, 0, 2, kRingSize, {}}, -1, 20);
  }
  bool ask_for_postcopy() { return ask(kPostcopyListen, std::uint64_t{0}, -1, 0); }

  VirtioNetHeader received(std::vector<std::uint8_t>& frame, std::size_t frame_bytes) {
    VirtioNetHeader header;
    std::memcpy(&header, at(kBuffers), sizeof header);
    frame.resize(frame_bytes);
    std::memcpy(frame.data(), at(kBuffers + sizeof header), frame_bytes);
    return header;
  }

 private:
  /// Of its own, as the specification has them: a number that is wrong in the switch is not wrong here too.
  enum Request : std::uint32_t {
    kSetFeatures = 2,
    kSetOwner = 3,
    kSetMemTable = 5,
    kSetLogBase = 6,
    kSetVringNum = 8,
    kSetVringAddr = 9,
    kSetVringBase = 10,
    kGetVringBase = 11,
    kSetVringKick = 12,
    kSetVringCall = 13,
    kPostcopyListen = 29,
    kGetInflightFd = 31,
    kSetInflightFd = 32
  };
  static constexpr std::uint32_t kVersion = 1, kNeedsReply = 8;
  struct VringState {
    std::uint32_t index, number;
  };
  struct VringAddress {
    std::uint32_t index, flags;
    std::uint64_t descriptors, used, available, log;
  };
  struct Memory {
    std::uint32_t regions, padding;
    std::uint64_t guest_address, bytes, user_address, offset;
  };
  static constexpr std::uint64_t kVersion1 = 1ull << 32;
  static constexpr std::uint64_t kAvailable = 0x1000, kUsed = 0x2000;

  static std::uint64_t ring_base(unsigned ring) { return 0x1000 + ring * 0x10000ull; }
  std::byte* at(std::uint64_t address) { return memory_ + address; }
  std::uint64_t here(std::uint64_t address) { return reinterpret_cast<std::uint64_t>(at(address)); }

  /// The first `bytes` at kBuffers, from descriptor 0 on.
  void chain(unsigned ring, std::uint32_t bytes, std::uint32_t descriptor_bytes, std::uint16_t flags) {
    std::uint16_t index = 0;
    for (std::uint32_t begin = 0; begin < bytes; begin += descriptor_bytes) {
      const bool is_last = bytes - begin <= descriptor_bytes;
      const auto here_flags = static_cast<std::uint16_t>(flags | (is_last ? 0 : kNext));
      set_descriptor(ring, index,
                     {kBuffers + begin, is_last ? bytes - begin : descriptor_bytes, here_flags,
                      static_cast<std::uint16_t>(index + 1)});
      ++index;
    }
  }
  static bool take_calls(int eventfd) {
    ::fcntl(eventfd, F_SETFL, O_NONBLOCK);
    eventfd_t calls = 0;
    return ::eventfd_read(eventfd, &calls) == 0;
  }
  static void fill(int eventfd) {
    if (::eventfd_write(eventfd, ~eventfd_t{0} - 1) != 0 || ::fcntl(eventfd, F_SETFL, 0) != 0) {
      throw std::runtime_error("eventfd");
    }
  }
  Memory memory() { return {1, 0, 0, kMemoryBytes, here(0), 0}; }
  VringAddress address_of(std::uint32_t ring) {
    const std::uint64_t base = ring_base(ring);
    return {ring, 0, here(base), here(base + kUsed), here(base + kAvailable), 0};
  }

  template <typename Payload>
  bool ask(Request request, const Payload& payload, int descriptor = -1, std::uint32_t bytes = sizeof(Payload)) {
    say(request, payload, descriptor, kVersion | kNeedsReply, bytes);
    struct [[gnu::packed]] {
      std::uint32_t request, flags, size;
      std::uint64_t value;
    } answer{};
    const ssize_t got = ::recv(socket_, &answer, sizeof answer, MSG_WAITALL);
    if (got != static_cast<ssize_t>(sizeof answer)) throw std::runtime_error("the switch hung up on this guest");
    return answer.value == 0;
  }

  template <typename Payload>
  void say(Request request, const Payload& payload, int descriptor = -1, std::uint32_t flags = kVersion,
           std::uint32_t bytes = sizeof(Payload)) {
    struct Header {
      std::uint32_t request, flags, size;
    } const header{request, flags, bytes};
    iovec parts[] = {{const_cast<Header*>(&header), sizeof header}, {const_cast<Payload*>(&payload), bytes}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (descriptor >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* entry = CMSG_FIRSTHDR(&message);
      entry->cmsg_level = SOL_SOCKET;
      entry->cmsg_type = SCM_RIGHTS;
      entry->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(entry), &descriptor, sizeof descriptor);
    }
    if (::sendmsg(socket_, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof header + bytes)) {
      throw std::runtime_error("the switch does not listen to this guest");
    }
  }

  void introduce() {
    say(kSetOwner, std::uint64_t{0});
    say(kSetFeatures, features_);
    say(kSetMemTable, memory(), memory_fd_);
    for (std::uint32_t ring = 0; ring < 2; ++ring) {
      say(kSetVringNum, VringState{ring, kRingSize});
      say(kSetVringBase, VringState{ring, 0});
      say(kSetVringAddr, address_of(ring));
      for (const Request request : {kSetVringCall, kSetVringKick}) {
        events_.push_back(::eventfd(0, EFD_CLOEXEC));
        say(request, std::uint64_t{ring}, events_.back());
      }
    }
  }

  const std::uint64_t features_;
  int socket_ = -1;
  int memory_fd_ = -1;
  std::byte* memory_ = nullptr;
  std::vector<int> events_;
};

}  // namespace millrace::tests
