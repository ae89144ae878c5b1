#include "datapath/io/vhost_message.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "datapath/io/kick_set.h"

namespace millrace::datapath::io {
namespace {

/// A mapping that DPDK is going to make, for as long as this lives.
class Trial {
 public:
  Trial() = default;
  ~Trial() {
    if (mapped_ != MAP_FAILED) ::munmap(mapped_, length_);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// False: it cannot be made.
  bool map(int descriptor, std::uint64_t bytes, std::uint64_t offset) noexcept {
    struct stat file {};
    if (bytes == 0 || __builtin_add_overflow(bytes, offset, &length_)) return false;
    if (::fstat(descriptor, &file) != 0 || file.st_blksize <= 0) return false;
    const auto block = static_cast<std::uint64_t>(file.st_blksize);
    if (__builtin_add_overflow(length_, block - 1, &length_)) return false;
    length_ -= length_ % block;
    // From now on nobody forbids it by a seal. What has no seals says EINVAL, what is closed to them EPERM.
    ::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SEAL);
    mapped_ = ::mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    return mapped_ != MAP_FAILED;
  }

 private:
  void* mapped_ = MAP_FAILED;
  std::uint64_t length_ = 0;
};

}  // namespace

bool VhostMessage::changes_memory() const noexcept { return lends_memory() || context_->request == kResetOwner; }
bool VhostMessage::lends_memory() const noexcept { return context_->request == kSetMemTable; }

const char* VhostMessage::refusal(bool has_memory) const noexcept {
  switch (context_->request) {
    case kSetLogBase: return "a log of what is written, which is not offered";
    case kPostcopyAdvise:
    case kPostcopyListen:
    case kPostcopyEnd: return "page faults of its own, which are not offered";
    case kGetInflightFd:
    case kSetInflightFd: return "a record of descriptors in flight, which is not offered";
    case kSetVringCall:
    case kSetVringErr:
      return is_called_by_descriptor() && !is_eventfd(context_->descriptors[0]) ? "to be called by what is no eventfd"
                                                                                : nullptr;
    case kSetMemTable:
      if (!are_in_memory()) return "to lend a file that is none of tmpfs or hugetlbfs";
      if (can_be_mapped()) return nullptr;
      return has_memory ? "other memory, which cannot be mapped; what it lent before stays"
                        : "to lend memory that cannot be mapped";
    default: return nullptr;
  }
}

bool VhostMessage::is_called_by_descriptor() const noexcept {
  const bool is_call = context_->request == kSetVringCall || context_->request == kSetVringErr;
  return is_call && context_->descriptor_count > 0;
}

bool VhostMessage::are_in_memory() const noexcept {
  for (int i = 0; i < context_->descriptor_count && i < static_cast<int>(kRegions); ++i) {
    struct stat file {};
    struct statfs system {};
    if (::fstat(context_->descriptors[i], &file) != 0 || !S_ISREG(file.st_mode)) return false;
    if (::fstatfs(context_->descriptors[i], &system) != 0) return false;
    if (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC) return false;
  }
  return true;
}

bool VhostMessage::can_be_mapped() const noexcept {
  const std::uint32_t count = context_->memory.count;
  if (count > kRegions || context_->descriptor_count != static_cast<int>(count)) return false;
  // All at once: each may find room where all do not.
  std::array<Trial, kRegions> trials;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Region& region = context_->memory.regions[i];
    if (!trials[i].map(context_->descriptors[i], region.bytes, region.offset)) return false;
  }
  return true;
}

void VhostMessage::close_descriptors() noexcept {
  for (int i = 0; i < context_->descriptor_count && i < static_cast<int>(kRegions); ++i) {
    if (context_->descriptors[i] >= 0) ::close(context_->descriptors[i]);
    context_->descriptors[i] = -1;
  }
}

}  // namespace millrace::datapath::io
