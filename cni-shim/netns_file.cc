#include "cni-shim/netns_file.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>

#include "cni-shim/text.h"

namespace millrace::cni_shim {

CniResult<void> check_netns_file(const std::string& path) {
  struct statfs status {};
  if (::statfs(path.c_str(), &status) != 0) {
    return CniError{CniCode::kInvalidEnvironment, "CNI_NETNS " + shown(path) + ": " + std::strerror(errno), ""};
  }
  if (status.f_type != NSFS_MAGIC) {
    return CniError{CniCode::kInvalidEnvironment, "CNI_NETNS " + shown(path) + " is no network namespace", ""};
  }
  return {};
}

}  // namespace millrace::cni_shim
