/// Message: what one simulated endpoint says to another, and the frames it travels in.
///
/// Shape:   every message carries the number of its conversation and whether it is a question (from who began) or an
///          answer: UDP and echo in each 8 bytes of the payload; TCP in its sequence numbers and SCTP in its tags, so
///          that packets without payload have it too. Who receives a frame can say whose it was, whatever the switch
///          made of its addresses. A message may be cut into two fragments; Reassembly puts them together again.
/// Errors:  read() fails the test for a frame that no receiver would take: wrong checksums, a payload of two messages.
/// Thread:  one.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "net/address.h"
#include "net/parser.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {

/// A tuple as one end sees it. ICMP echo has its identifier in both ports.
struct Tuple {
  std::uint8_t protocol = 0;
  net::IpAddress source, destination;
  std::uint16_t source_port = 0, destination_port = 0;

  Tuple reversed() const { return {protocol, destination, source, destination_port, source_port}; }
  std::string text() const;
  friend auto operator<=>(const Tuple&, const Tuple&) = default;
};

/// One end of a tuple.
struct End {
  std::uint8_t protocol = 0;
  net::IpAddress address;
  std::uint16_t port = 0;
  friend auto operator<=>(const End&, const End&) = default;
};
inline End source_of(const Tuple& tuple) { return {tuple.protocol, tuple.source, tuple.source_port}; }

enum class Speaker : std::uint8_t { kClient, kServer };

inline constexpr std::uint32_t kNoConversation = 0xffffffff;

struct Message {
  Tuple tuple;
  Speaker speaker = Speaker::kClient;
  std::uint32_t conversation = 0;
  std::uint8_t tcp_flags = 0;
  std::uint32_t sequence = 0, acknowledgment = 0;
  std::uint8_t chunk = 0;           // of SCTP: one a packet (net/wire.h: sctp_chunk)
  bool is_tag_reflected = false;    // of SCTP: the T bit
  std::uint32_t payload_bytes = 0;  // a multiple of 8; UDP and echo at least 8; of SCTP: user data
  std::optional<Tuple> quoted;      // an ICMP error about a packet with this tuple, of this conversation
  Bytes quoted_packet;              // to be written: the IP packet the error quotes
};

/// TCP of the simulation: a question and an answer of fixed lengths. A client's numbers begin at
/// `conversation << kTcpShift`, a server's at the same with the top bit set.
inline constexpr unsigned kTcpShift = 12;
inline constexpr std::uint32_t kTcpServer = 0x80000000;
inline constexpr std::uint32_t kTcpQuestionBytes = 16, kTcpAnswerBytes = 24;

/// SCTP of the simulation: the tag that a client's packets carry is that of the server, with the top bit set, and that
/// of a server's packets the client's.
inline constexpr std::uint32_t kSctpServerTag = 0x80000000;
inline constexpr std::uint32_t kSctpDataBytes = 16;
inline std::uint32_t client_tag(std::uint32_t conversation) { return conversation + 1; }
inline std::uint32_t server_tag(std::uint32_t conversation) { return client_tag(conversation) | kSctpServerTag; }

/// Of TCP and SCTP: a packet that opens a connection, and one that closes it.
bool opens(const Message& message);
bool refuses(const Message& message);
bool closes(const Message& message);

inline bool is_echo(std::uint8_t protocol) {
  return protocol == net::ip_protocol::kIcmp || protocol == net::ip_protocol::kIcmpv6;
}

/// The frame, or its two fragments when `fragment_id` is not 0.
std::vector<Bytes> write(const Message& message, std::string_view source_mac, std::string_view destination_mac,
                         std::uint16_t fragment_id = 0);

class Reassembly {
 public:
  /// The message of a frame; nothing while a fragment is missing.
  std::optional<Message> read(const Bytes& frame);

 private:
  using Key = std::tuple<net::IpAddress, net::IpAddress, std::uint32_t>;
  std::map<Key, Bytes> first_;  // bytes behind the IP header
};

}  // namespace millrace::tests
