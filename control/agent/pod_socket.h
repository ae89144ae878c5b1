/// The vhost-user socket of a pod that has no kernel interface, and the directories that it lies in.
///
/// Shape:   DIRECTORY/POD/IFNAME/vhost.sock; DIRECTORY is runtimeDir/vhost. POD is the pod's uid, which a manifest can
/// name
///          (a hostPath volume of DIRECTORY with subPathExpr $(POD_UID)), or where there is none the port's name. All
///          sockets of a pod are below its directory and no others, so that it can be mounted into the pod's
///          containers. Who listens makes the socket: the switch, or the pod. IFNAME comes before the port and goes
///          after it. It is there as long as the attachment: runtimeDir is in memory, and a machine that was started
///          anew has neither.
/// Errors:  kInvalidArgument for a path that is too long for a socket; kPermissionDenied, kFailedPrecondition with the
///          path and the kernel's reason.
/// Thread:  any; one pod at a time.
/// Source:  unix(7) for the length; CNI spec 1.1.0, socketPath.
#pragma once

#include <string>

#include "control/agent/model.h"
#include "net/result.h"

namespace millrace::control::agent {

inline constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un.sun_path less its end mark

/// Where the socket of `attachment` is to be: its key, uid and host_interface are known.
net::Result<std::string> pod_socket_path(const std::string& directory, const Attachment& attachment);
net::Result<void> make_socket_directory(const std::string& socket_path);
/// Takes away the socket, whoever made it, its directory unless the pod left something else there, and the pod's unless
/// it has another socket. Nothing there is no error.
net::Result<void> remove_pod_socket(const std::string& socket_path);
/// Of this socket.
bool socket_directory_is_there(const std::string& socket_path);

}  // namespace millrace::control::agent
