/// A line of an earlier epoch: whether its flow may still be, and where it goes now. Its translation stays.
///
/// Thread:  the owning worker. Never allocates.
#pragma once

#include "datapath/turn.h"
#include "nat/flow_line.h"
#include "net/drop.h"

namespace millrace::datapath {

/// Brings a line to the snapshot's epoch: policy is asked, its route and worker are found again. kPortGone: the flow
/// must end, its backend is gone (UDP only: TCP and SCTP go on to the backend they have) or an address of it is another
/// pod's by now. After another Drop the line is as it was: the next packet asks again.
net::Drop renew_line(Turn& turn, nat::FlowLineV4& line) noexcept;
net::Drop renew_line(Turn& turn, nat::FlowLineV6& line) noexcept;

}  // namespace millrace::datapath
