// SCTP of the endpoints: INIT, cookie, a chunk of data each way, SHUTDOWN. One chunk a packet.
#include "tests/sim/endpoint.h"

namespace millrace::tests {
namespace {

namespace type = net::sctp_chunk;

Message packet(const Tuple& tuple, Speaker speaker, std::uint32_t conversation, std::uint8_t chunk) {
  return {.tuple = tuple,
          .speaker = speaker,
          .conversation = conversation,
          .chunk = chunk,
          .payload_bytes = chunk == type::kData ? kSctpDataBytes : 0,
          .quoted = {},
          .quoted_packet = {}};
}

}  // namespace

std::vector<Message> says_sctp(const Conversation& conversation) {
  const auto chunk = [&](std::uint8_t kind) {
    return std::vector{packet(conversation.asked, Speaker::kClient, conversation.id, kind)};
  };
  switch (conversation.phase) {
    case Phase::kAsking: return chunk(type::kInit);
    case Phase::kCookie: return chunk(type::kCookieEcho);
    case Phase::kData: return chunk(type::kData);
    case Phase::kClosing: return chunk(type::kShutdown);
    case Phase::kDone: break;
  }
  return chunk(type::kShutdownComplete);
}

std::vector<Message> hears_sctp(Conversation& conversation, const Message& answer) {
  if (answer.chunk == type::kAbort) {
    conversation.is_refused = true;
    return {};
  }
  const Phase phase = conversation.phase;
  if (phase == Phase::kAsking && answer.chunk == type::kInitAck) {
    conversation.phase = Phase::kCookie;
  } else if (phase == Phase::kCookie && answer.chunk == type::kCookieAck) {
    conversation.phase = Phase::kData;
  } else if (phase == Phase::kData && answer.chunk == type::kData) {
    conversation.phase = Phase::kClosing;
    conversation.is_answered = true;
  } else if (phase == Phase::kClosing && answer.chunk == type::kShutdownAck) {
    conversation.phase = Phase::kDone;
  } else {
    return {};
  }
  return says_sctp(conversation);
}

std::vector<Message> Server::hears_sctp(const Message& question) {
  const auto answer = [&](std::uint8_t chunk) {
    return std::vector{packet(question.tuple.reversed(), Speaker::kServer, question.conversation, chunk)};
  };
  if (question.chunk == type::kInit) {
    cookies_.insert({question.tuple, question.conversation});
    return answer(type::kInitAck);
  }
  if (question.chunk == type::kCookieEcho) {
    // A cookie of another server's is discarded in silence (RFC 9260 5.1.5).
    if (!cookies_.contains({question.tuple, question.conversation})) return {};
    associations_[question.tuple] = question.conversation;
    return answer(type::kCookieAck);
  }
  if (question.chunk == type::kShutdownComplete || question.chunk == type::kAbort) return {};
  const auto known = associations_.find(question.tuple);
  if (known == associations_.end()) {
    auto abort = answer(type::kAbort);  // out of the blue: RFC 9260 8.4
    abort.front().is_tag_reflected = true;
    return abort;
  }
  if (known->second != question.conversation) return {};  // another tag: RFC 9260 8.5
  return answer(question.chunk == type::kShutdown ? type::kShutdownAck : type::kData);
}

}  // namespace millrace::tests
