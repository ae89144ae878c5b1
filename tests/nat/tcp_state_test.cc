// TCP connections packet by packet, and the state the switch is in behind each.

#include "nat/tcp_state.h"

#include <gtest/gtest.h>

#include "tests/nat/tcp_flow.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;

constexpr Side C = Side::kClient;
constexpr Side S = Side::kServer;
constexpr std::uint8_t kSyn = TcpHeader::kSyn, kAck = TcpHeader::kAck, kFin = TcpHeader::kFin, kRst = TcpHeader::kRst,
                       kPsh = TcpHeader::kPsh, kUrg = TcpHeader::kUrg;

struct Step {
  Side from;
  std::uint8_t flags;
  std::uint32_t sequence, ack;
  std::size_t payload_bytes;
  TcpState state;
};

struct Row {
  std::string name;
  std::vector<Step> steps;
};

// The client's bytes start at 1001, the server's at 5001.
std::vector<Step> after_handshake(std::vector<Step> more) {
  std::vector<Step> steps = {
      {C, kSyn, 1000, 0, 0, TcpState::kSynSent},
      {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
      {C, kAck, 1001, 5001, 0, TcpState::kEstablished},
  };
  steps.insert(steps.end(), more.begin(), more.end());
  return steps;
}

std::vector<Row> opening_rows() {
  return {
      {"handshake", after_handshake({})},
      {"SYN and SYN-ACK again",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kSyn, 1000, 0, 0, TcpState::kSynReceived},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kAck, 1001, 5001, 0, TcpState::kEstablished},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kEstablished}}},
      {"another attempt from the same port before any answer",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {C, kSyn, 70'000'000, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 70'000'001, 0, TcpState::kSynReceived},
        {C, kAck, 70'000'001, 5001, 0, TcpState::kEstablished}}},
      {"simultaneous open (RFC 9293 figure 7)",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kSyn, 5000, 0, 0, TcpState::kSynReceived},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kSyn | kAck, 1000, 5001, 0, TcpState::kEstablished}}},
      {"data in the SYN (RFC 7413), which is acknowledged in part",
       {{C, kSyn, 1000, 0, 100, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kAck, 1001, 5001, 100, TcpState::kEstablished}}},
      {"sequence numbers that wrap",
       {{C, kSyn, 0xffffffff, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 0xfffffff0, 0, 0, TcpState::kSynReceived},
        {C, kAck, 0, 0xfffffff1, 10, TcpState::kEstablished},
        {S, kAck, 0xfffffff1, 10, 100, TcpState::kEstablished},
        {C, kRst, 10, 0, 0, TcpState::kClosed}}},
      {"a SYN-ACK for another SYN",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent}, {S, kSyn | kAck, 5000, 0x40000000, 0, TcpState::kSynSent}}},
      {"an ACK of an old connection instead of a SYN-ACK, its RST, and the SYN again (RFC 9293 figure 9)",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kAck, 900'000, 0x30000000, 0, TcpState::kSynSent},
        {C, kRst, 0x30000000, 0, 0, TcpState::kSynSent},
        {C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived}}},
      {"an ACK that does not acknowledge the server's SYN",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kAck, 1001, 0x40000000, 0, TcpState::kSynReceived}}},
      {"FIN with the handshake's ACK",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait}}},
      {"a FIN where only a SYN was sent",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent}, {C, kFin | kAck, 1001, 5001, 0, TcpState::kSynSent}}},
      {"picked up: established when both were heard",
       {{C, kAck, 1001, 5001, 10, TcpState::kNone},
        {C, kAck, 1011, 5001, 10, TcpState::kNone},
        {S, kAck, 5001, 1021, 0, TcpState::kEstablished}}},
      {"picked up from the server's SYN-ACK",
       {{C, kSyn | kAck, 5000, 1001, 0, TcpState::kNone}, {S, kAck, 1001, 5001, 0, TcpState::kEstablished}}},
      {"picked up at the end",
       {{C, kFin | kAck, 1001, 5001, 0, TcpState::kNone},
        {S, kFin | kAck, 5001, 1002, 0, TcpState::kFinWait},
        {C, kAck, 1002, 5002, 0, TcpState::kTimeWait}}},
  };
}

std::vector<Row> closing_rows() {
  return {
      {"the client closes, the server follows", after_handshake({{C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait},
                                                                 {S, kAck, 5001, 1002, 0, TcpState::kFinWait},
                                                                 {S, kFin | kAck, 5001, 1002, 0, TcpState::kFinWait},
                                                                 {C, kAck, 1002, 5002, 0, TcpState::kTimeWait}})},
      {"the server closes, the client follows", after_handshake({{S, kFin | kAck, 5001, 1001, 0, TcpState::kCloseWait},
                                                                 {C, kAck, 1001, 5002, 0, TcpState::kCloseWait},
                                                                 {C, kFin | kAck, 1001, 5002, 0, TcpState::kFinWait},
                                                                 {S, kAck, 5002, 1002, 0, TcpState::kTimeWait}})},
      {"half closed: the other side sends on", after_handshake({{C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait},
                                                                {S, kAck, 5001, 1002, 1000, TcpState::kFinWait},
                                                                {C, kAck, 1002, 6001, 0, TcpState::kFinWait},
                                                                {S, kFin | kAck, 6001, 1002, 500, TcpState::kFinWait},
                                                                {C, kAck, 1002, 6001, 0, TcpState::kFinWait},
                                                                {C, kAck, 1002, 6502, 0, TcpState::kTimeWait}})},
      {"both close at once", after_handshake({{C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait},
                                              {S, kFin | kAck, 5001, 1001, 0, TcpState::kFinWait},
                                              {C, kAck, 1002, 5002, 0, TcpState::kFinWait},
                                              {S, kAck, 5002, 1002, 0, TcpState::kTimeWait}})},
      {"FIN again", after_handshake({{C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait},
                                     {C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait},
                                     {S, kFin | kAck, 5001, 1002, 0, TcpState::kFinWait},
                                     {S, kFin | kAck, 5001, 1002, 0, TcpState::kFinWait},
                                     {C, kAck, 1002, 5002, 0, TcpState::kTimeWait},
                                     {S, kFin | kAck, 5001, 1002, 0, TcpState::kTimeWait}})},
      {"FIN with data that was sent before without",
       after_handshake({{C, kAck, 1001, 5001, 10, TcpState::kEstablished},
                        {C, kFin | kAck, 1001, 5001, 10, TcpState::kFinWait},
                        {S, kFin | kAck, 5001, 1012, 0, TcpState::kFinWait},
                        {C, kAck, 1012, 5002, 0, TcpState::kTimeWait}})},
      {"a FIN far ahead is nobody's", after_handshake({{C, kFin | kAck, 0x40000000, 5001, 0, TcpState::kEstablished},
                                                       {C, kFin | kAck, 900, 5001, 0, TcpState::kEstablished}})},
  };
}

std::vector<Row> reset_rows() {
  return {
      {"refused", {{C, kSyn, 1000, 0, 0, TcpState::kSynSent}, {S, kRst | kAck, 0, 1001, 0, TcpState::kClosed}}},
      {"refused by someone who has not seen the SYN",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kRst | kAck, 0, 0x40000000, 0, TcpState::kSynSent},
        {S, kRst, 0, 0, 0, TcpState::kSynSent}}},
      {"given up by the client", {{C, kSyn, 1000, 0, 0, TcpState::kSynSent}, {C, kRst, 1001, 0, 0, TcpState::kClosed}}},
      {"a port scan: SYN, SYN-ACK, RST",
       {{C, kSyn, 1000, 0, 0, TcpState::kSynSent},
        {S, kSyn | kAck, 5000, 1001, 0, TcpState::kSynReceived},
        {C, kRst, 1001, 0, 0, TcpState::kClosed}}},
      {"RST at what the server expects", after_handshake({{C, kRst, 1001, 0, 0, TcpState::kClosed}})},
      {"RST of the server", after_handshake({{S, kRst | kAck, 5001, 1001, 0, TcpState::kClosed}})},
      {"RST behind data that is not yet acknowledged",
       after_handshake({{C, kAck, 1001, 5001, 700, TcpState::kEstablished}, {C, kRst, 1701, 0, 0, TcpState::kClosed}})},
      {"RST in the middle of data in flight",
       after_handshake({{C, kAck, 1001, 5001, 700, TcpState::kEstablished}, {C, kRst, 1500, 0, 0, TcpState::kClosed}})},
      {"RST in front of what is acknowledged", after_handshake({{C, kAck, 1001, 5001, 700, TcpState::kEstablished},
                                                                {S, kAck, 5001, 1701, 0, TcpState::kEstablished},
                                                                {C, kRst, 1700, 0, 0, TcpState::kEstablished}})},
      {"RST one byte behind what was sent", after_handshake({{C, kRst, 1002, 0, 0, TcpState::kEstablished}})},
      {"RST with number 0", after_handshake({{S, kRst, 0, 0, 0, TcpState::kEstablished}})},
      {"bytes far ahead do not open the way for a RST",
       after_handshake({{C, kAck, 0x40000000, 5001, 10, TcpState::kEstablished},
                        {C, kRst, 0x4000000a, 0, 0, TcpState::kEstablished}})},
      {"nor does an acknowledgement of bytes nobody has sent",
       after_handshake({{S, kAck, 5001, 0x40000000, 0, TcpState::kEstablished},
                        {C, kRst, 0x40000000, 0, 0, TcpState::kEstablished}})},
      {"RST while closing", after_handshake({{C, kFin | kAck, 1001, 5001, 0, TcpState::kFinWait},
                                             {S, kAck, 5001, 1002, 0, TcpState::kFinWait},
                                             {C, kRst, 1002, 0, 0, TcpState::kClosed}})},
      {"RST on a picked-up flow whose other side was heard",
       {{C, kAck, 1001, 5001, 10, TcpState::kNone}, {S, kRst, 5001, 0, 0, TcpState::kClosed}}},
  };
}

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    TcpFlow flow;
    unsigned number = 0;
    for (const Step& step : row.steps) {
      ++number;
      const TcpState state = flow.send(step.from, step.flags, step.sequence, step.ack, step.payload_bytes);
      ASSERT_STREQ(to_string(state), to_string(step.state)) << row.name << ", packet " << number;
    }
  }
}

TEST(TcpState, Opening) { expect_rows(opening_rows()); }
TEST(TcpState, Closing) { expect_rows(closing_rows()); }
TEST(TcpState, Reset) { expect_rows(reset_rows()); }

TEST(TcpState, TheTimerFollowsTheState) {
  TcpFlow flow;
  const auto timer_after = [&flow](Side side, std::uint8_t flags, std::uint32_t sequence, std::uint32_t ack) {
    flow.send(side, flags, sequence, ack);
    return flow.timer();
  };
  EXPECT_EQ(timer_after(C, kSyn, 1000, 0), FlowTimer::kTcpHandshake);
  EXPECT_EQ(timer_after(S, kSyn | kAck, 5000, 1001), FlowTimer::kTcpHandshake);
  EXPECT_EQ(timer_after(C, kAck, 1001, 5001), FlowTimer::kTcpEstablished);
  EXPECT_EQ(timer_after(S, kFin | kAck, 5001, 1001), FlowTimer::kTcpClosing);
  EXPECT_EQ(timer_after(C, kFin | kAck, 1001, 5002), FlowTimer::kTcpClosing);
  EXPECT_EQ(timer_after(S, kAck, 5002, 1002), FlowTimer::kTcpClosed);
}

TEST(TcpState, DataTakesTheFastPathOnlyWhenEstablished) {
  TcpFlow flow;
  flow.send(C, kSyn, 1000);
  flow.send(S, kSyn | kAck, 5000, 1001);
  TestPacket data = TcpFlow::packet(C, kAck | kPsh, 1001, 5001, 100);
  EXPECT_FALSE(note_tcp_data(flow.line(C), flow.timer(), *data)) << "the handshake ends with it";
  flow.send(C, kAck, 1001, 5001);
  EXPECT_TRUE(note_tcp_data(flow.line(C), flow.timer(), *data));
  EXPECT_EQ(flow.line(C).tcp_end, 1101u);
  EXPECT_EQ(flow.line(C).tcp_ack, 5001u);
  for (const std::uint8_t flags : {kSyn, kFin, kRst}) {
    TestPacket decides = TcpFlow::packet(C, kAck | flags, 1101, 5001, 0);
    EXPECT_FALSE(note_tcp_data(flow.line(C), flow.timer(), *decides)) << int{flags};
  }
  TestPacket old = TcpFlow::packet(C, kAck, 1001, 4000, 50);
  EXPECT_TRUE(note_tcp_data(flow.line(C), flow.timer(), *old));
  EXPECT_EQ(flow.line(C).tcp_end, 1101u) << "sent again: nothing new";
  EXPECT_EQ(flow.line(C).tcp_ack, 5001u);
}

TEST(TcpState, WhatAPacketMayBegin) {
  const struct {
    int flags;
    TcpStart start;
  } rows[] = {
      {kSyn, TcpStart::kNew},
      {kSyn | 0xc0, TcpStart::kNew},  // ECN setup (RFC 3168 6.1.1)
      {kSyn | kAck, TcpStart::kPickUp},
      {kAck, TcpStart::kPickUp},
      {kAck | kPsh | kUrg, TcpStart::kPickUp},
      {kFin | kAck, TcpStart::kPickUp},
      {kRst, TcpStart::kInvalid},
      {kRst | kAck, TcpStart::kInvalid},
      {kSyn | kRst, TcpStart::kInvalid},
      {kSyn | kFin, TcpStart::kInvalid},
      {kSyn | kFin | kAck, TcpStart::kInvalid},
      {0, TcpStart::kInvalid},
      {kFin, TcpStart::kInvalid},
      {kFin | kPsh | kUrg, TcpStart::kInvalid},
  };
  for (const auto& row : rows) {
    TestPacket packet = TcpFlow::packet(C, static_cast<std::uint8_t>(row.flags), 1, 0, 0);
    EXPECT_EQ(tcp_start(*packet), row.start) << "flags " << row.flags;
  }
}

TEST(TcpState, ASynBeginsAgainWhereTheConnectionIsOver) {
  TestPacket syn = TcpFlow::packet(C, kSyn, 9'000'000, 0, 0);
  const auto again = [&syn](TcpFlow& flow, Side side) { return begins_again(flow.line(side), *syn); };
  TcpFlow flow;
  flow.send(C, kSyn, 1000);
  EXPECT_FALSE(again(flow, C));
  flow.send(S, kSyn | kAck, 5000, 1001);
  flow.send(C, kAck, 1001, 5001);
  EXPECT_FALSE(again(flow, C));
  flow.send(C, kFin | kAck, 1001, 5001);
  EXPECT_TRUE(again(flow, C)) << "it has closed";
  EXPECT_FALSE(again(flow, S)) << "it has not";
  flow.send(S, kFin | kAck, 5001, 1002);
  EXPECT_TRUE(again(flow, S));
  flow.send(C, kAck, 1002, 5002);
  EXPECT_TRUE(again(flow, C));
  EXPECT_FALSE(begins_again(flow.line(C), *TcpFlow::packet(C, kAck, 1002, 5002, 0)));
  EXPECT_FALSE(begins_again(flow.line(S), *TcpFlow::packet(S, kSyn | kAck, 5002, 1002, 0)));

  TcpFlow refused;
  refused.send(C, kSyn, 1000);
  refused.send(S, kRst | kAck, 0, 1001);
  EXPECT_TRUE(again(refused, C));
}

}  // namespace
}  // namespace millrace::tests
