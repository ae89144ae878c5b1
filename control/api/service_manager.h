/// Word to the service manager: a daemon that is started with Type=notify says when it is ready and when it stops.
///
/// Shape:   one datagram of "KEY=VALUE" lines to the socket that NOTIFY_SOCKET names ("@" first: abstract). Without
///          that variable nothing is sent.
/// Errors:  none: a service manager that cannot be told is not a reason to stop.
/// Source:  sd_notify(3), which documents the protocol as stable so that it may be spoken without libsystemd.
#pragma once

#include <string>

namespace millrace::api {

/// `state` is for example "READY=1\nSTATUS=2 workers".
void notify_service_manager(const std::string& state);

}  // namespace millrace::api
