#include "tests/sim/endpoint.h"

#include <algorithm>

#include "net/wire.h"

namespace millrace::tests {
namespace {

using net::TcpHeader;

std::uint32_t client_begin(std::uint32_t conversation) { return conversation << kTcpShift; }
std::uint32_t server_begin(std::uint32_t conversation) { return client_begin(conversation) | kTcpServer; }

/// What a client has sent before its FIN, SYN included; the same of a server.
constexpr std::uint32_t kClientData = 1 + kTcpQuestionBytes;
constexpr std::uint32_t kServerData = 1 + kTcpAnswerBytes;

Message segment(const Conversation& conversation, std::uint8_t flags, std::uint32_t sent, std::uint32_t received,
                std::uint32_t payload_bytes = 0) {
  return {.tuple = conversation.asked,
          .speaker = Speaker::kClient,
          .conversation = conversation.id,
          .tcp_flags = flags,
          .sequence = client_begin(conversation.id) + sent,
          .acknowledgment = flags == TcpHeader::kSyn ? 0 : server_begin(conversation.id) + received,
          .payload_bytes = payload_bytes,
          .quoted = {},
          .quoted_packet = {}};
}

Message reply(const Message& question, std::uint8_t flags, std::uint32_t sent, std::uint32_t received,
              std::uint32_t payload_bytes = 0) {
  return {.tuple = question.tuple.reversed(),
          .speaker = Speaker::kServer,
          .conversation = question.conversation,
          .tcp_flags = flags,
          .sequence = server_begin(question.conversation) + sent,
          .acknowledgment = client_begin(question.conversation) + received,
          .payload_bytes = payload_bytes,
          .quoted = {},
          .quoted_packet = {}};
}

}  // namespace

std::vector<Message> says(const Conversation& conversation) {
  if (conversation.asked.protocol == net::ip_protocol::kSctp) return says_sctp(conversation);
  if (conversation.asked.protocol != net::ip_protocol::kTcp) {
    return {{.tuple = conversation.asked,
             .speaker = Speaker::kClient,
             .conversation = conversation.id,
             .payload_bytes = 16 + conversation.id % 7 * 8,
             .quoted = {},
             .quoted_packet = {}}};
  }
  switch (conversation.phase) {
    case Phase::kAsking: return {segment(conversation, TcpHeader::kSyn, 0, 0)};
    case Phase::kData: return {segment(conversation, TcpHeader::kAck | TcpHeader::kPsh, 1, 1, kTcpQuestionBytes)};
    case Phase::kClosing: return {segment(conversation, TcpHeader::kAck | TcpHeader::kFin, kClientData, kServerData)};
    case Phase::kCookie:
    case Phase::kDone: break;
  }
  return {segment(conversation, TcpHeader::kAck, kClientData + 1, kServerData + 1)};
}

std::vector<Message> hears(Conversation& conversation, const Message& answer) {
  if (conversation.asked.protocol == net::ip_protocol::kSctp) return hears_sctp(conversation, answer);
  if (conversation.asked.protocol != net::ip_protocol::kTcp) {
    conversation.is_answered = true;
    conversation.phase = Phase::kDone;
    return {};
  }
  const std::uint32_t sequence = answer.sequence - server_begin(conversation.id);
  std::vector<Message> sent;
  if ((answer.tcp_flags & TcpHeader::kRst) != 0) {
    conversation.is_refused = true;
    return {};
  }
  if ((answer.tcp_flags & TcpHeader::kSyn) != 0) {
    if (conversation.phase != Phase::kAsking) return {};
    conversation.phase = Phase::kData;
    sent.push_back(segment(conversation, TcpHeader::kAck, 1, 1));
  } else if (answer.payload_bytes > 0 && sequence == 1) {
    if (conversation.phase != Phase::kData) return {};
    conversation.phase = Phase::kClosing;
    conversation.is_answered = true;
    sent.push_back(segment(conversation, TcpHeader::kAck, kClientData, kServerData));
  } else if ((answer.tcp_flags & TcpHeader::kFin) != 0) {
    if (conversation.phase != Phase::kClosing && conversation.phase != Phase::kDone) return {};
    conversation.phase = Phase::kDone;
  } else {
    return {};
  }
  for (Message& next : says(conversation)) sent.push_back(std::move(next));
  return sent;
}

std::vector<Message> Server::hears(const Message& question) {
  if (question.tuple.protocol == net::ip_protocol::kSctp) return hears_sctp(question);
  if (question.tuple.protocol != net::ip_protocol::kTcp) {
    Message answer = reply(question, 0, 0, 0, question.payload_bytes);
    return {answer};
  }
  const std::uint8_t flags = question.tcp_flags;
  if ((flags & TcpHeader::kRst) != 0) {
    accepted_.erase(question.tuple);
    return {};
  }
  if ((flags & TcpHeader::kSyn) != 0) {
    accepted_.insert(question.tuple);
    return {reply(question, TcpHeader::kSyn | TcpHeader::kAck, 0, 1)};
  }
  if (!accepted_.contains(question.tuple)) {
    Message reset = reply(question, TcpHeader::kRst, 0, 0);
    reset.sequence = question.acknowledgment;
    reset.acknowledgment = 0;
    return {reset};
  }
  if ((flags & TcpHeader::kFin) != 0) {
    return {reply(question, TcpHeader::kFin | TcpHeader::kAck, kServerData, kClientData + 1)};
  }
  if (question.payload_bytes == 0) return {};
  return {reply(question, TcpHeader::kAck | TcpHeader::kPsh, 1, kClientData, kTcpAnswerBytes)};
}

bool Actor::has(const net::IpAddress& address) const {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

}  // namespace millrace::tests
