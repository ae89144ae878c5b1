/// One word to a running BIRD: read your configuration again.
///
/// Shape:   lines over a stream socket. BIRD greets with "0001 ..."; an answer is lines that begin with four digits,
///          the last one followed by a space, the others by '-', or with a space for a further line of the same. First
///          digit 0: done; 8 and 9: an error. A configuration with a mistake leaves the one before in force (8002).
/// Errors:  kUnavailable: nobody listens, or no answer in time. kFailedPrecondition: BIRD refuses; its own words.
/// Thread:  any; blocks for at most `timeout`.
/// Source:  BIRD 2.0 programmer's documentation, "Control socket"; doc/reply_codes.
#pragma once

#include <chrono>
#include <string>

#include "net/result.h"

namespace millrace::control::agent {

net::Result<void> tell_bird_to_configure(const std::string& control_socket, std::chrono::milliseconds timeout);

}  // namespace millrace::control::agent
