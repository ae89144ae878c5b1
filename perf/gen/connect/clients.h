/// Clients: connections that are opened at a rate, do one request and response, and are closed again; and how they
/// fail.
///
/// Shape:   a connection is a slot: source address source + slot / kPortsEach, port kFirstPort + slot % kPortsEach.
///          Slots are used again in the order in which they became free, so a tuple rests as long as it can.
///          TCP: SYN, SYN ACK, request, response, [hold], FIN, FIN ACK, ACK. UDP: request, response.
///          Nothing is sent twice: what does not answer in time has failed, and where is counted. An opening that is
///          due while no slot is free is `refused`, and none of them is forgotten: times count from when it was due.
/// Limits:  1 to kMostSlots slots of 32 bytes. A response may come in several segments, in order.
/// Thread:  one. Never allocates after it was made.
/// Source:  RFC 9293 for the segments; RFC 9693 for rates and failures of stateful devices.
#pragma once

#include <cstdint>
#include <vector>

#include "net/packet.h"
#include "perf/gen/connect/segment.h"
#include "perf/gen/measure/histogram.h"

namespace millrace::perf::gen {

struct ClientOptions {
  Ends ends;  // source and destination of the first; its source port is kFirstPort
  bool udp = false;
  std::uint32_t slots = 10'000;
  std::uint32_t request_bytes = 64;
  std::uint32_t response_bytes = 0;          // 0: as many
  std::uint64_t timeout_ns = 1'000'000'000;  // of each answer
  std::uint64_t hold_ns = 0;                 // how long a connection stays open behind the response
};

struct ClientCounts {
  std::uint64_t due = 0;  // openings; all of them end in one of the following, or are open still
  std::uint64_t completed = 0;
  std::uint64_t refused = 0;
  std::uint64_t no_connection = 0, no_response = 0, no_close = 0;  // what did not come in time
  std::uint64_t reset = 0;
  std::uint64_t unopened = 0;  // due, and the time was over; counted by who knows the time (loop.h)
  std::uint64_t open = 0, most_open = 0;
  std::uint64_t strays = 0;  // packets that belong to nothing that is open

  std::uint64_t failed() const noexcept { return unopened + refused + no_connection + no_response + no_close + reset; }
};

class Clients {
 public:
  static constexpr std::uint32_t kMostSlots = 8'000'000;
  static constexpr std::uint16_t kFirstPort = 1024;
  static constexpr std::uint32_t kPortsEach = 60'000;
  static constexpr std::uint32_t kSweep = 64;  // slots looked at in a turn

  explicit Clients(const ClientOptions& options);

  bool full() const noexcept { return free_count_ == 0; }
  /// Opens a connection that was due at `due_ns`: writes its first packet. 0: refused, nothing to send.
  std::uint32_t open(std::uint8_t* frame, std::uint64_t due_ns, std::uint64_t now_ns) noexcept;
  /// Takes what arrived; true when the packet is now the next one to send.
  bool take(net::Packet& packet, std::uint64_t now_ns) noexcept;
  /// Looks at the next kSweep slots: fails what waited too long, and writes the FIN of a connection held long enough.
  /// 0: nothing to send. Call until it is 0 or a turn is over.
  std::uint32_t sweep(std::uint8_t* frame, std::uint64_t now_ns) noexcept;

  const ClientCounts& counts() const noexcept { return counts_; }
  const Histogram& connect_ns() const noexcept { return connect_ns_; }    // due to SYN ACK
  const Histogram& response_ns() const noexcept { return response_ns_; }  // request to response; UDP: due to response

 private:
  enum class State : std::uint8_t { kFree, kOpening, kRequested, kHeld, kClosing };
  struct Slot {
    std::uint64_t began_ns = 0;     // of what the state waits for
    std::uint64_t deadline_ns = 0;  // kHeld: when to close
    std::uint32_t next_sequence = 0, acknowledgment = 0;
    std::uint32_t came = 0;  // of the response
    State state = State::kFree;
  };
  Ends ends_of(std::uint32_t slot) const noexcept;
  std::uint32_t send(std::uint8_t* frame, std::uint32_t slot, std::uint8_t flags, std::uint32_t payload) noexcept;
  void wait(Slot& slot, State state, std::uint64_t now_ns, std::uint64_t deadline_ns) noexcept;
  void release(std::uint32_t slot) noexcept;
  void fail(std::uint32_t slot) noexcept;

  bool take_response(net::Packet& packet, std::uint32_t slot, std::uint32_t sequence, std::uint32_t payload,
                     std::uint64_t now_ns) noexcept;

  ClientOptions options_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // ring
  std::size_t free_first_ = 0, free_count_ = 0;
  std::uint32_t swept_ = 0;
  ClientCounts counts_;
  Histogram connect_ns_, response_ns_;
};

}  // namespace millrace::perf::gen
