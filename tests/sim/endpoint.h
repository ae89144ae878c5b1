/// Endpoints of the simulation: clients and servers that speak UDP, echo and a small TCP and SCTP, whoever they are.
///
/// Shape:   a conversation is one question and its answer. A client sends what its phase asks for, and the same again
///          when its time is up; a server keeps only the TCP connections it has accepted, and refuses segments of
///          others with a reset, as a real one does. Nobody here knows of services or translation: what is right is
///          judged by flow_sim.cc.
/// Source:  RFC 9293 3.5, RFC 9260 5.1, 8.4, 9.2, as far as a question and an answer go.
/// Thread:  one.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "datapath/snapshot.h"
#include "tests/sim/message.h"

namespace millrace::tests {

enum class Phase : std::uint8_t { kAsking, kCookie, kData, kClosing, kDone };  // kCookie: of SCTP

struct Conversation {
  std::uint32_t id = 0;
  unsigned client = 0;        // incarnation (Actor)
  Tuple asked;                // as the client sends it
  int frontend = -1;          // of the simulation; -1: the address asked is the server's own
  std::optional<End> mapped;  // asked: the outside port of a pod
  nat::SourceKind kind = nat::SourceKind::kPod;
  bool client_masquerades = false;
  bool is_probe = false;      // sent to a port that may be anybody's: nothing is expected
  bool may_be_apart = false;  // the client's port was used before: an older flow may have the tuple
  std::set<End> outsides;     // of the node's, from which its questions came to servers
  bool is_answered = false;
  bool is_refused = false;
  Phase phase = Phase::kAsking;
  std::optional<std::pair<net::IpAddress, std::uint16_t>> backend;  // that has the TCP connection
  bool may_pin = true;

  bool is_open() const { return phase != Phase::kDone && !is_refused; }
  /// Its flow is gone, or may be soon: from now on the connection is with whoever gets its segments, and what is still
  /// on its way may come to the backend before.
  void unpin() { backend.reset(), may_pin = false; }
  bool was_masqueraded() const { return !outsides.empty(); }
};

/// What the client sends in its phase, first and again.
std::vector<Message> says(const Conversation& conversation);
/// What the client sends because of an answer that is its own.
std::vector<Message> hears(Conversation& conversation, const Message& answer);
/// The same of SCTP (endpoint_sctp.cc).
std::vector<Message> says_sctp(const Conversation& conversation);
std::vector<Message> hears_sctp(Conversation& conversation, const Message& answer);

class Server {
 public:
  std::vector<Message> hears(const Message& question);

 private:
  std::vector<Message> hears_sctp(const Message& question);

  std::set<Tuple> accepted_;                           // of TCP
  std::set<std::pair<Tuple, std::uint32_t>> cookies_;  // of SCTP: given with an INIT ACK
  std::map<Tuple, std::uint32_t> associations_;        // of SCTP, by conversation
};

/// A pod, or all of the world behind the host port.
struct Actor {
  unsigned incarnation = 0;
  net::PortId port = 0;
  unsigned number = 0;  // of a pod (test_switch.h)
  bool is_pod = true;
  bool masquerade = false;
  datapath::WorkerId worker = 0;
  std::vector<net::IpAddress> addresses;
  Server server;
  Reassembly reassembly;

  bool has(const net::IpAddress& address) const;
};

}  // namespace millrace::tests
