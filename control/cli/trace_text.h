/// What the switch says of a packet that is not sent, as a person reads it: a step a line, the verdict last.
///
/// Thread:  pure functions.
#pragma once

#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

std::string trace_text(const api::TraceRequest& asked, const api::TraceReply& told);
/// Whether the packet would be sent on. A reply of a flow that is there always is.
bool is_allowed(const api::TraceReply& told);

}  // namespace millrace::control::cli
