// SCTP associations packet by packet, and the state the switch is in behind each.

#include "nat/sctp_state.h"

#include <gtest/gtest.h>

#include "net/wire.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;
namespace type = net::sctp_chunk;

enum class Side : std::uint8_t { kClient, kServer };
constexpr Side C = Side::kClient;
constexpr Side S = Side::kServer;
// The tag that packets to the server carry, and those to the client.
constexpr std::uint32_t kToServer = 0x5e00, kToClient = 0xc100, kOther = 0xbad;

/// A chunk; INIT and INIT ACK with this initiate tag.
Bytes chunk(std::uint8_t chunk_type, std::uint32_t initiate_tag = 0, std::uint8_t flags = 0) {
  const bool is_init = chunk_type == type::kInit || chunk_type == type::kInitAck;
  Bytes bytes(is_init ? 20 : 8, 0);
  auto& header = view<SctpChunk>(bytes.data());
  header.type = chunk_type;
  header.flags = flags;
  header.length = Be16(static_cast<std::uint16_t>(bytes.size()));
  if (is_init) view<SctpInitChunk>(bytes.data()).initiate_tag = Be32(initiate_tag);
  return bytes;
}

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TestPacket packet(Side from, std::uint32_t tag, const Bytes& chunks) {
  PacketBuilder builder =
      from == C ? eth().ipv4("10.0.0.1", "10.0.0.2").sctp(4000, 80) : eth().ipv4("10.0.0.2", "10.0.0.1").sctp(80, 4000);
  Bytes frame = builder.payload(chunks).bytes();
  view<SctpHeader>(frame.data() + 34).verification_tag = Be32(tag);
  TestPacket made(frame, 0, 0);
  made.parse();
  return made;
}

struct Step {
  Side from;
  std::uint32_t tag;
  Bytes chunks;
  SctpState state;
};

struct Row {
  std::string name;
  std::vector<Step> steps;
};

constexpr auto kOpening = SctpState::kOpening;
constexpr auto kUp = SctpState::kEstablished;
constexpr auto kClosing = SctpState::kClosing;
constexpr auto kClosed = SctpState::kClosed;

std::vector<Step> after_opening(std::vector<Step> more) {
  std::vector<Step> steps = {
      {C, 0, chunk(type::kInit, kToClient), kOpening},
      {S, kToClient, chunk(type::kInitAck, kToServer), kOpening},
      {C, kToServer, chunk(type::kCookieEcho), kOpening},
      {S, kToClient, chunk(type::kCookieAck), kUp},
  };
  steps.insert(steps.end(), more.begin(), more.end());
  return steps;
}

const Bytes kData = chunk(type::kData);
const Bytes kSack = chunk(3);
constexpr std::uint8_t kReflected = SctpChunk::kTagReflected;

std::vector<Row> opening_rows() {
  return {
      {"opening", after_opening({{C, kToServer, kData, kUp}, {S, kToClient, kSack, kUp}})},
      {"INIT and COOKIE ECHO again",
       {{C, 0, chunk(type::kInit, kToClient), kOpening},
        {C, 0, chunk(type::kInit, kToClient), kOpening},
        {S, kToClient, chunk(type::kInitAck, kToServer), kOpening},
        {C, kToServer, join({chunk(type::kCookieEcho), kData}), kOpening},
        {C, kToServer, chunk(type::kCookieEcho), kOpening},
        {S, kToClient, join({chunk(type::kCookieAck), kSack}), kUp}}},
      {"both begin at once (RFC 9260 5.2.1)",
       {{C, 0, chunk(type::kInit, kToClient), kOpening},
        {S, 0, chunk(type::kInit, kToServer), kOpening},
        {S, kToClient, chunk(type::kInitAck, kToServer), kOpening},
        {C, kToServer, chunk(type::kInitAck, kToClient), kOpening},
        {C, kToServer, chunk(type::kCookieEcho), kOpening},
        {S, kToClient, chunk(type::kCookieAck), kUp}}},
      {"an INIT ACK with another tag is no answer",
       {{C, 0, chunk(type::kInit, kToClient), kOpening},
        {S, kOther, chunk(type::kInitAck, kToServer), kOpening},
        {C, kToServer, chunk(type::kCookieEcho), kOpening},
        {S, kToClient, chunk(type::kCookieAck), kOpening}}},
      {"another path: HEARTBEAT and its ACK",
       {{C, kToServer, chunk(type::kHeartbeat), kOpening}, {S, kToClient, chunk(5), kUp}, {C, kToServer, kData, kUp}}},
      {"picked up, then ended",
       {{S, kToClient, kData, kOpening},
        {C, kToServer, kSack, kUp},
        {S, kOther, chunk(type::kAbort), kUp},
        {S, kToClient, chunk(type::kAbort), kClosed}}},
      {"an INIT in an association does not begin another",
       after_opening({{C, 0, chunk(type::kInit, kOther), kUp}, {C, kToServer, chunk(type::kAbort), kClosed}})},
  };
}

std::vector<Row> closing_rows() {
  return {
      {"shutdown", after_opening({{C, kToServer, join({kSack, chunk(type::kShutdown)}), kClosing},
                                  {S, kToClient, chunk(type::kShutdownAck), kClosing},
                                  {C, kToServer, chunk(type::kShutdownComplete), kClosed}})},
      {"shutdown whose end comes from someone who has forgotten it (T bit)",
       after_opening({{S, kToClient, chunk(type::kShutdown), kClosing},
                      {C, kToServer, chunk(type::kShutdownAck), kClosing},
                      {S, kToServer, chunk(type::kShutdownComplete, 0, kReflected), kClosed}})},
      {"abort", after_opening({{S, kToClient, chunk(type::kAbort), kClosed}})},
      {"abort behind other chunks", after_opening({{S, kToClient, join({kSack, chunk(type::kAbort)}), kClosed}})},
      {"abort of someone who has forgotten it (T bit)",
       after_opening({{S, kToServer, chunk(type::kAbort, 0, kReflected), kClosed}})},
      {"aborts with tags that are not the direction's",
       after_opening({{S, kOther, chunk(type::kAbort), kUp},
                      {S, kToServer, chunk(type::kAbort), kUp},
                      {S, kToClient, chunk(type::kAbort, 0, kReflected), kUp},
                      {S, 0, chunk(type::kAbort), kUp},
                      {S, 0, chunk(type::kAbort, 0, kReflected), kUp},
                      {S, kOther, chunk(type::kShutdown), kUp}})},
      {"refused", {{C, 0, chunk(type::kInit, kToClient), kOpening}, {S, kToClient, chunk(type::kAbort), kClosed}}},
      {"INIT behind the end begins anew", after_opening({{S, kToClient, chunk(type::kAbort), kClosed},
                                                         {C, 0, chunk(type::kInit, 7), kOpening},
                                                         {S, 7, chunk(type::kInitAck, 8), kOpening},
                                                         {C, 8, chunk(type::kCookieEcho), kOpening},
                                                         {S, 7, chunk(type::kCookieAck), kUp},
                                                         {C, kToServer, chunk(type::kAbort), kUp}})},
  };
}

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    FlowLineV4 lines[2];
    lines[1].flags = line_flag::kReply;
    FlowTimer timer = FlowTimer::kSctpHandshake;
    unsigned number = 0;
    for (const Step& step : row.steps) {
      ++number;
      TestPacket made = packet(step.from, step.tag, step.chunks);
      timer = note_sctp(lines[static_cast<unsigned>(step.from)], timer, *made);
      ASSERT_STREQ(to_string(sctp_state(lines[0])), to_string(step.state)) << row.name << ", packet " << number;
      const FlowTimer wanted = step.state == kOpening ? FlowTimer::kSctpHandshake
                               : step.state == kUp    ? FlowTimer::kSctpEstablished
                                                      : FlowTimer::kSctpClosing;
      ASSERT_EQ(timer, wanted) << row.name << ", packet " << number;
    }
  }
}

TEST(SctpState, Opening) { expect_rows(opening_rows()); }
TEST(SctpState, Closing) { expect_rows(closing_rows()); }

TEST(SctpState, ChunksThatAreCutOrHaveNoLengthEndWhatIsRead) {
  Bytes no_length = chunk(type::kInit, kToClient);
  no_length[2] = no_length[3] = 0;
  const struct {
    const char* name;
    Bytes chunks;
  } rows[] = {
      {"none", {}},
      {"cut header", {type::kInit, 0, 0}},
      {"length 0", no_length},
      {"INIT without its tag", {type::kInit, 0, 0, 20}},
  };
  for (const auto& row : rows) {
    FlowLineV4 lines[2];
    lines[1].flags = line_flag::kReply;
    TestPacket made = packet(C, 0, row.chunks);
    EXPECT_EQ(note_sctp(lines[0], FlowTimer::kSctpHandshake, *made), FlowTimer::kSctpHandshake) << row.name;
    EXPECT_EQ(lines[0].tcp_flags, 0) << row.name;
  }
}

TEST(SctpState, WhatAPacketMayBegin) {
  const struct {
    const char* name;
    std::uint32_t tag;
    Bytes chunks;
    SctpStart start;
  } rows[] = {
      {"INIT", 0, chunk(type::kInit, 7), SctpStart::kNew},
      {"INIT with a tag", 7, chunk(type::kInit, 7), SctpStart::kInvalid},
      {"HEARTBEAT", 7, chunk(type::kHeartbeat), SctpStart::kNew},
      {"DATA", 7, kData, SctpStart::kPickUp},
      {"INIT ACK", 7, chunk(type::kInitAck, 7), SctpStart::kPickUp},
      {"ABORT", 7, chunk(type::kAbort), SctpStart::kInvalid},
      {"SHUTDOWN COMPLETE", 7, chunk(type::kShutdownComplete), SctpStart::kInvalid},
      {"nothing", 7, {}, SctpStart::kInvalid},
  };
  for (const auto& row : rows) EXPECT_EQ(sctp_start(*packet(C, row.tag, row.chunks)), row.start) << row.name;
}

}  // namespace
}  // namespace millrace::tests
