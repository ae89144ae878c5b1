/// Hugepages: finds out which page size packets can live in, and makes room for it when the process may.
///
/// Theory:  free pages of the machine's pool are used first. Without them the limit of surplus pages is raised
///          (nr_overcommit_hugepages): such pages are made on demand and go back to the kernel when the process ends,
///          even by kill -9, where nr_hugepages would stay taken. The limit itself is needed only until the memory is
///          mapped, so `HugepageRoom` puts it back when destroyed.
/// Thread:  control, at start. Instances on one machine are serialised by a lock on the kernel's file.
/// Errors:  none: no hugepages is an answer (`page_bytes` 0), with the reason.
/// Source:  kernel Documentation/admin-guide/mm/hugetlbpage.rst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "datapath/io/eal.h"

namespace millrace::datapath::io {

class HugepageRoom {
 public:
  /// Looks for `bytes` of hugepages and proves them by mapping and touching them once.
  static HugepageRoom prepare(HugepageChoice choice, std::uint64_t bytes, int numa_node);
  ~HugepageRoom();
  HugepageRoom(HugepageRoom&& other) noexcept;
  HugepageRoom(const HugepageRoom&) = delete;
  HugepageRoom& operator=(const HugepageRoom&) = delete;
  HugepageRoom& operator=(HugepageRoom&&) = delete;

  /// Size of the pages found; 0 when there are none.
  std::uint64_t page_bytes() const noexcept { return page_bytes_; }
  /// Why there are none; empty when there are.
  const std::string& reason() const noexcept { return reason_; }

 private:
  HugepageRoom() = default;
  bool use_free(std::uint64_t page_bytes, std::uint64_t bytes, int numa_node);
  bool use_surplus(std::uint64_t page_bytes, std::uint64_t bytes);
  bool prove(std::uint64_t page_bytes, std::uint64_t bytes);
  void hold_free(std::uint64_t page_bytes) noexcept;
  void lower_limit() noexcept;

  std::uint64_t page_bytes_ = 0;
  std::string reason_;
  int lock_ = -1;                   // descriptor of the limit's file, locked
  std::uint64_t raised_pages_ = 0;  // what this process added to the limit
  void* held_ = nullptr;            // the few reserved pages, while DPDK counts
  std::size_t held_bytes_ = 0;
};

}  // namespace millrace::datapath::io
