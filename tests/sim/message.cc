#include "tests/sim/message.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/checksum.h"
#include "net/fragment.h"
#include "net/ip_header.h"
#include "net/quote.h"

namespace millrace::tests {
namespace {

namespace ip_protocol = net::ip_protocol;

constexpr std::size_t kBlockBytes = 8;
constexpr std::size_t kFirstFragmentBytes = 24;
constexpr std::size_t kEthernetBytes = 14;

Bytes payload_of(const Message& message) {
  Bytes payload;
  for (std::size_t i = 0; i < message.payload_bytes / kBlockBytes; ++i) {
    payload.insert(payload.end(), {'M', 'R', static_cast<std::uint8_t>(message.speaker), 0});
    for (int shift = 24; shift >= 0; shift -= 8)
      payload.push_back(static_cast<std::uint8_t>(message.conversation >> shift));
  }
  return payload;
}

PacketBuilder ip(const Tuple& tuple, std::string_view source_mac, std::string_view destination_mac) {
  PacketBuilder builder = eth(source_mac, destination_mac);
  const std::string source = tuple.source.to_string(), destination = tuple.destination.to_string();
  return tuple.source.is_v4() ? builder.ipv4(source, destination) : builder.ipv6(source, destination);
}

constexpr std::uint32_t kDataHeaderBytes = 16, kInitBytes = 20, kOtherChunkBytes = 8;

/// One chunk, its tag where the sender's state says: INIT has none yet, and offers the client's.
Bytes write_sctp(const Message& message, PacketBuilder builder) {
  namespace type = net::sctp_chunk;
  const bool is_init = message.chunk == type::kInit || message.chunk == type::kInitAck;
  const bool is_data = message.chunk == type::kData;
  Bytes chunk(is_init ? kInitBytes : is_data ? kDataHeaderBytes + message.payload_bytes : kOtherChunkBytes, 0);
  auto& header = net::view<net::SctpChunk>(chunk.data());
  header.type = message.chunk;
  header.flags = message.is_tag_reflected ? net::SctpChunk::kTagReflected : std::uint8_t{0};
  header.length = net::Be16(static_cast<std::uint16_t>(chunk.size()));
  const bool asks = message.speaker == Speaker::kClient;
  const std::uint32_t client = client_tag(message.conversation), server = server_tag(message.conversation);
  if (is_init) net::view<net::SctpInitChunk>(chunk.data()).initiate_tag = net::Be32(asks ? client : server);
  const std::size_t sctp_bytes = sizeof(net::SctpHeader) + chunk.size();
  Bytes frame = builder.sctp(message.tuple.source_port, message.tuple.destination_port).payload(chunk).bytes();
  const std::span sctp = std::span(frame).last(sctp_bytes);
  auto& common = net::view<net::SctpHeader>(sctp.data());
  const bool is_to_server = asks != message.is_tag_reflected;
  common.verification_tag = net::Be32(message.chunk == type::kInit ? 0 : is_to_server ? server : client);
  common.checksum = net::sctp_checksum(sctp);
  return frame;
}

Bytes write_whole(const Message& message, std::string_view source_mac, std::string_view destination_mac) {
  const Tuple& tuple = message.tuple;
  PacketBuilder builder = ip(tuple, source_mac, destination_mac);
  const bool is_v4 = tuple.source.is_v4();
  if (message.quoted) {
    is_v4 ? builder.icmp(3, 3) : builder.icmpv6(1, 4);
    return builder.payload(message.quoted_packet).bytes();
  }
  if (tuple.protocol == ip_protocol::kSctp) return write_sctp(message, builder);
  const bool asks = message.speaker == Speaker::kClient;
  switch (tuple.protocol) {
    case ip_protocol::kTcp:
      builder.tcp(tuple.source_port, tuple.destination_port, message.tcp_flags)
          .sequence(message.sequence, message.acknowledgment);
      break;
    case ip_protocol::kUdp: builder.udp(tuple.source_port, tuple.destination_port); break;
    case ip_protocol::kIcmp: builder.icmp(asks ? 8 : 0, 0, tuple.source_port, 1); break;
    default: builder.icmpv6(asks ? 128 : 129, 0, tuple.source_port, 1); break;
  }
  return builder.payload(payload_of(message)).bytes();
}

Tuple tuple_of(const net::Packet& packet, const net::Headers& headers) {
  const auto* const l3 = static_cast<const std::uint8_t*>(packet.data) + headers.l3_offset;
  Tuple tuple{headers.l4_protocol, {}, {}, headers.source_port, headers.destination_port};
  if (headers.l3 == net::L3::kIpv4) {
    const auto& header = net::view<net::Ipv4Header>(l3);
    tuple.source = net::IpAddress::from(header.source);
    tuple.destination = net::IpAddress::from(header.destination);
  } else {
    const auto& header = net::view<net::Ipv6Header>(l3);
    tuple.source = net::IpAddress::from(header.source);
    tuple.destination = net::IpAddress::from(header.destination);
  }
  return tuple;
}

void read_payload(const Bytes& frame, const net::Headers& headers, Message& message) {
  const std::size_t end = std::size_t{headers.l3_offset} + headers.l3_length;
  message.payload_bytes = static_cast<std::uint32_t>(end - headers.payload_offset);
  ASSERT_EQ(message.payload_bytes % kBlockBytes, 0u) << describe(frame);
  ASSERT_GT(message.payload_bytes, 0u) << describe(frame);
  const std::uint8_t* const block = frame.data() + headers.payload_offset;
  ASSERT_TRUE(block[0] == 'M' && block[1] == 'R') << describe(frame);
  message.speaker = static_cast<Speaker>(block[2]);
  message.conversation = std::uint32_t{block[4]} << 24 | block[5] << 16 | block[6] << 8 | block[7];
  for (std::size_t i = kBlockBytes; i < message.payload_bytes; ++i)
    ASSERT_EQ(block[i], block[i % kBlockBytes]) << "a payload of two messages: " << describe(frame);
}

void read_tcp(const net::Packet& packet, Message& message) {
  const net::Headers& headers = packet.headers;
  const auto& tcp = net::view<net::TcpHeader>(static_cast<const std::uint8_t*>(packet.data) + headers.l4_offset);
  message.tcp_flags = tcp.flags;
  message.sequence = tcp.sequence.host();
  message.acknowledgment = tcp.acknowledgment.host();
  message.payload_bytes = headers.l3_offset + headers.l3_length - headers.payload_offset;
  // A reset that answers a SYN has no number of its own.
  const bool refuses = (tcp.flags & net::TcpHeader::kRst) != 0 && message.sequence == 0;
  const std::uint32_t number = refuses ? (message.acknowledgment - 1) ^ kTcpServer : message.sequence;
  message.speaker = (number & kTcpServer) != 0 ? Speaker::kServer : Speaker::kClient;
  message.conversation = (number & ~kTcpServer) >> kTcpShift;
}

/// Whose packet it is, by its tag; INIT by the tag it offers.
std::uint32_t sctp_conversation(const std::uint8_t* l4) {
  const std::uint32_t tag = net::view<net::SctpHeader>(l4).verification_tag.host();
  const std::uint32_t offered = net::view<net::SctpInitChunk>(l4 + sizeof(net::SctpHeader)).initiate_tag.host();
  return ((tag == 0 ? offered : tag) & ~kSctpServerTag) - 1;
}

void read_sctp(const net::Packet& packet, Message& message) {
  const std::uint8_t* const l4 = static_cast<const std::uint8_t*>(packet.data) + packet.headers.l4_offset;
  const auto& chunk = net::view<net::SctpChunk>(l4 + sizeof(net::SctpHeader));
  message.chunk = chunk.type;
  message.is_tag_reflected = (chunk.flags & net::SctpChunk::kTagReflected) != 0;
  if (chunk.type == net::sctp_chunk::kData) message.payload_bytes = chunk.length.host() - kDataHeaderBytes;
  const std::uint32_t tag = net::view<net::SctpHeader>(l4).verification_tag.host();
  const bool is_to_server = tag == 0 || (tag & kSctpServerTag) != 0;
  message.speaker = is_to_server != message.is_tag_reflected ? Speaker::kClient : Speaker::kServer;
  message.conversation = sctp_conversation(l4);
}

/// Whose packet an error quotes, as far as the quote goes.
std::uint32_t quoted_conversation(const net::Packet& packet, const net::Headers& quote) {
  const std::uint8_t* const l4 = static_cast<const std::uint8_t*>(packet.data) + quote.l4_offset;
  const std::size_t bytes = net::quote_end(packet) - quote.l4_offset;
  if (quote.l4_protocol == ip_protocol::kTcp) {
    const std::uint32_t number = net::view<net::Be32>(l4 + offsetof(net::TcpHeader, sequence)).host();
    return (number & ~kTcpServer) >> kTcpShift;
  }
  if (quote.l4_protocol == ip_protocol::kSctp) {
    const bool is_there = bytes >= sizeof(net::SctpHeader) + sizeof(net::SctpInitChunk);
    return is_there ? sctp_conversation(l4) : kNoConversation;
  }
  constexpr std::size_t kHeaderBytes = 8;  // of UDP and echo
  if (bytes < kHeaderBytes + kBlockBytes) return kNoConversation;
  return net::view<net::Be32>(l4 + kHeaderBytes + kBlockBytes / 2).host();
}

}  // namespace

std::string Tuple::text() const {
  const char* const name = protocol == ip_protocol::kTcp    ? "tcp"
                           : protocol == ip_protocol::kUdp  ? "udp"
                           : protocol == ip_protocol::kSctp ? "sctp"
                                                            : "icmp";
  return fmt::format("{} {}:{} > {}:{}", name, source.to_string(), source_port, destination.to_string(),
                     destination_port);
}

bool opens(const Message& message) {
  if (message.tuple.protocol == ip_protocol::kTcp) return message.tcp_flags == net::TcpHeader::kSyn;
  return message.tuple.protocol == ip_protocol::kSctp && message.chunk == net::sctp_chunk::kInit;
}

bool refuses(const Message& message) {
  if (message.tuple.protocol == ip_protocol::kTcp) return (message.tcp_flags & net::TcpHeader::kRst) != 0;
  return message.tuple.protocol == ip_protocol::kSctp && message.chunk == net::sctp_chunk::kAbort;
}

bool closes(const Message& message) {
  if (message.tuple.protocol == ip_protocol::kTcp) return (message.tcp_flags & net::TcpHeader::kFin) != 0;
  return message.tuple.protocol == ip_protocol::kSctp && message.chunk == net::sctp_chunk::kShutdown;
}

std::vector<Bytes> write(const Message& message, std::string_view source_mac, std::string_view destination_mac,
                         std::uint16_t fragment_id) {
  const Bytes whole = write_whole(message, source_mac, destination_mac);
  const bool is_v4 = message.tuple.source.is_v4();
  const std::size_t head_bytes = kEthernetBytes + (is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
  if (fragment_id == 0 || whole.size() <= head_bytes + kFirstFragmentBytes) return {whole};
  const auto cut_at = whole.begin() + static_cast<std::ptrdiff_t>(head_bytes + kFirstFragmentBytes);
  const auto piece = [&](std::size_t offset, bool more, Bytes content) {
    PacketBuilder builder = ip(message.tuple, source_mac, destination_mac);
    const auto offset_bytes = static_cast<std::uint32_t>(offset);
    is_v4 ? builder.protocol(message.tuple.protocol).fragment(offset_bytes, more, fragment_id)
          : builder.ipv6_fragment(offset_bytes, more, fragment_id);
    return builder.payload(std::move(content)).bytes();
  };
  std::vector<Bytes> pieces{piece(0, true, Bytes(whole.begin() + static_cast<std::ptrdiff_t>(head_bytes), cut_at)),
                            piece(kFirstFragmentBytes, false, Bytes(cut_at, whole.end()))};
  // What follows a fragment header is named in it: the builder knows only its own layers.
  if (!is_v4)
    for (Bytes& fragment : pieces) fragment[head_bytes] = message.tuple.protocol;
  return pieces;
}

std::optional<Message> Reassembly::read(const Bytes& frame) {
  TestPacket packet(frame);
  const net::Drop drop = packet.parse();
  EXPECT_EQ(drop, net::Drop::kNone) << describe(frame);
  if (drop != net::Drop::kNone) return std::nullopt;
  const net::Headers& headers = packet->headers;
  if (headers.l3 == net::L3::kIpv4) { EXPECT_TRUE(net::ipv4_checksum_is_right(net::ipv4(*packet))) << describe(frame); }
  Message message;
  message.tuple = tuple_of(*packet, headers);
  if (headers.is_fragment) {
    const Key key{message.tuple.source, message.tuple.destination, net::fragment_id(*packet)};
    const Bytes content(frame.begin() + headers.l4_offset, frame.begin() + headers.l3_offset + headers.l3_length);
    if (headers.is_first_fragment) {
      first_[key] = content;
      return std::nullopt;
    }
    const auto found = first_.find(key);
    if (found == first_.end()) return std::nullopt;
    Bytes whole = std::move(found->second);
    first_.erase(found);
    whole.insert(whole.end(), content.begin(), content.end());
    return read(ip(message.tuple, kMacA, kMacB).protocol(headers.l4_protocol).payload(whole).bytes());
  }
  EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), headers)) << describe(frame);
  if (const auto quote = net::parse_quote(*packet)) {
    message.quoted = tuple_of(*packet, *quote);
    message.conversation = quoted_conversation(*packet, *quote);
  } else if (headers.l4_protocol == ip_protocol::kTcp) {
    read_tcp(*packet, message);
  } else if (headers.l4_protocol == ip_protocol::kSctp) {
    read_sctp(*packet, message);
  } else {
    read_payload(frame, headers, message);
  }
  return message;
}

}  // namespace millrace::tests
