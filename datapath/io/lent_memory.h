/// LentMemory: where in this process the memory of one guest lies, and what happens when the guest takes it back.
///
/// Theory:  a guest lends its memory as a file (memfd, hugetlbfs) that is mapped here. The file stays the guest's, who
///          may cut it short, and a file of hugepages may have none left. Whoever touches what is no longer there gets
///          SIGBUS, which ends the process. Nothing that a look beforehand tells holds until the access. So the signal
///          is taken: if the address is in what a guest lent, zeros are mapped there and the access goes on. Zeros are
///          nothing that the guest could not have written, and every reader of its memory is made for that.
/// Shape:   a table for the process, of kGuests entries with kRegions each. The handler looks an address up in it
///          without a lock, maps zeros over the whole region (one call, one mapping, pages of any size), and tells the
///          region's owner. While the guest's table of regions changes, nobody knows their ends: then it is one page
///          at a time, and on the thread that makes the change it is any address.
/// Rule:    a worker makes no system calls but those that its ports send and wait by. This mmap() is the exception, for
///          each region once in the life of a connection: else there is no worker any more.
/// Elsewhere: a SIGBUS that is not of a guest's memory goes where it would go without this: to a handler that was set
///          before or later, else the process ends with it. Nobody takes the signal away: sigaction() is wrapped.
/// Thread:  the handler: any, several at once, also for one region. All else: one thread at a time for a guest.
/// Source:  signal-safety(7); mmap(2) on MAP_FIXED and SIGBUS; sigaction(2), si_code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace millrace::datapath::io {

class LentMemory {
 public:
  static constexpr unsigned kGuests = 1024;
  static constexpr unsigned kRegions = 8;  // VHOST_MEMORY_MAX_NREGIONS of DPDK

  struct Region {
    std::uintptr_t begin = 0;
    std::size_t bytes = 0;  // both as they were given to mmap()
  };
  class Owner {
   public:
    /// Called in the handler, on any thread, several times and at once: may do what signal-safety(7) lists.
    virtual void lose_memory() noexcept = 0;

   protected:
    ~Owner() = default;
  };

  /// Takes SIGBUS, the first time that it is called. False, with errno: it cannot be taken.
  static bool watch() noexcept;

  /// `owner` must outlive this.
  explicit LentMemory(Owner& owner) noexcept;
  ~LentMemory();
  LentMemory(const LentMemory&) = delete;
  LentMemory& operator=(const LentMemory&) = delete;

  /// False: the table is full, and nothing is watched here.
  bool has_entry() const noexcept { return entry_ != nullptr; }
  /// The regions are these, until begin_change(): none of them is unmapped before. Those beyond kRegions are left out.
  void settle(std::span<const Region> regions) noexcept;
  /// The calling thread may map and unmap regions, and touch them, until settle().
  void begin_change() noexcept;
  bool is_settled() const noexcept;

  struct Entry;
  struct Table;

 private:
  Entry* entry_ = nullptr;
};

}  // namespace millrace::datapath::io
