/// The socket of a net_virtio_user device, looked at before the device is made: what virtio-user says of one that is
/// wrong (EPERM) is no help.
///
/// Client:  the switch's socket must be there.
/// Server:  the generator makes the socket, and cannot where a file is. One that is left of a generator that was killed
///          is removed: nobody is bound to it. That is asked by a connect() of another type of socket, which a living
///          owner answers EPROTOTYPE without seeing a client, and a dead one ECONNREFUSED.
/// Errors:  name the port, the path and what to do: kNotFound, kAlreadyExists for a socket that is served or a file
///          that is no socket, kPermissionDenied where it cannot be looked at or removed.
/// Thread:  control code.
/// Source:  unix(7), connect(2).
#pragma once

#include <string>

#include "net/result.h"

namespace millrace::perf::gen {

/// `device` as --port takes it; nothing to do for any other kind.
net::Result<void> prepare_virtio_socket(const std::string& device);

}  // namespace millrace::perf::gen
