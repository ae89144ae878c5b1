/// The vhost-user socket of a pod that has no kernel interface, and the directories that it lies in.
///
/// Shape:   DIRECTORY/POD/IFNAME/vhost.sock; DIRECTORY is runtimeDir/vhost. POD is the pod's uid, which a manifest can
///          name (a hostPath volume of DIRECTORY with subPathExpr $(POD_UID)), or where there is none the port's name.
///          All sockets of a pod are below its directory and no others, so that it can be mounted into the pod's
///          containers. Who listens makes the socket: the switch, or the pod. IFNAME comes before the port and goes
///          after it, with all that the pod left there. It is there as long as the attachment: runtimeDir is in memory,
///          and a machine that was started anew has neither.
///          | directory | mode | so that |
///          | DIRECTORY | 0700 | on the node nobody but root comes to any pod's socket |
///          | POD       | 0755 | any user of the pod finds its sockets |
///          | IFNAME    | 0755 | the switch's socket is the switch's; everybody may connect to it |
///          |           | 0777 | where the pod listens: any user of the pod makes the socket |
/// Trust:   what is below POD is the pod's to change where a container of it is root, POD itself is not. Nothing of it
///          is followed or kept: directory.h.
/// Errors:  kInvalidArgument for a path that is too long for a socket; those of Directory.
/// Thread:  any; one pod at a time.
/// Source:  unix(7) for the length and for who may connect; CNI spec 1.1.0, socketPath.
#pragma once

#include <string>
#include <vector>

#include "control/agent/model.h"
#include "net/result.h"

namespace millrace::control::agent {

inline constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un.sun_path less its end mark

/// Where the socket of `attachment` is to be: its key, uid and host_interface are known.
net::Result<std::string> pod_socket_path(const std::string& directory, const Attachment& attachment);
net::Result<void> make_socket_directory(const VhostSocket& socket);
/// Takes away IFNAME, and POD unless another of `attachments` has a socket in it. Nothing there is no error.
net::Result<void> remove_pod_socket(const std::string& socket_path, const std::vector<Attachment>& attachments);
/// Of this socket.
bool socket_directory_is_there(const std::string& socket_path);
/// Takes away each POD of DIRECTORY that none of `kept` has: of pods that nothing is known of any more.
net::Result<void> remove_unknown_sockets(const std::string& directory, const std::vector<Attachment>& kept);

}  // namespace millrace::control::agent
