/// Single packets as a person reads them: when, where, what, and what became of it.
///
/// Shape:   "12:00:00.000001 default/web: tcp 10.244.0.7:41000 > 10.96.0.12:80 (default/db), 60 bytes, to
///          10.244.0.9:8080, out by default/db-0, worker 0"; a drop ends with its name and why. Times are local.
/// Thread:  pure functions.
#pragma once

#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

/// One line, with its end.
std::string packet_line(const api::PacketEvent& event);

/// A port as people know it: its description, else its name.
template <typename Port>
std::string name_of(const Port& port) {
  return port.description().empty() ? port.name() : port.description();
}

}  // namespace millrace::control::cli
