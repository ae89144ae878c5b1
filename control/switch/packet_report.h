/// A packet's event as it is told to people: with names instead of ids, and the wall's clock instead of the worker's.
///
/// Thread:  pure function.
#pragma once

#include <chrono>

#include "control/api/switch.pb.h"
#include "control/switch/port_view.h"
#include "datapath/event_tap.h"

namespace millrace::control::switchd {

/// `in`, `out`: its ports, nullptr where there is none. `clock_offset`: from the worker's clock to the Unix epoch.
api::PacketEvent to_proto(const datapath::PacketEvent& event, const PortView::Entry* in, const PortView::Entry* out,
                          const PortView& view, std::chrono::nanoseconds clock_offset);

}  // namespace millrace::control::switchd
