/// DpdkDevice: a device that DPDK drives by itself (a NIC bound to vfio-pci, a virtio-user or pcap device), and its
/// queues as Ports.
///
/// Shape:   `queues` receive and as many send queues, each pair a Port. Packets are received into the pool's frames and
///          sent from them, whole and in one segment. The device does no checksums: what it is given is complete.
///          Promiscuous: the kernel's end of the node's link has a MAC of its own until it is given the device's.
/// Thread:  open, the destructor, mac, statistics: control threads; the destructor while no worker polls a queue. The
///          Port calls: the queue's worker.
/// Errors:  kNotFound when DPDK knows no such device; kInvalidArgument for more queues than it has; kFailedPrecondition
///          with DPDK's reason when it cannot be set up.
/// Source:  DPDK Programmer's Guide 22.11, "Poll Mode Driver".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datapath/io/mbuf_pool.h"
#include "datapath/port.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::datapath::io {

struct DpdkDeviceOptions {
  std::string device;  // as DPDK names it: "0000:3b:00.0", "net_pcap0,iface=eth1"
  unsigned queues = 1;
  std::uint16_t rx_descriptors = 1024;
  std::uint16_t tx_descriptors = 1024;
};

/// What the device dropped before the switch saw it.
struct DpdkStatistics {
  std::uint64_t rx_missed = 0;    // the worker did not come in time
  std::uint64_t rx_no_frame = 0;  // the packet pool was empty
  std::uint64_t rx_errors = 0;
};

/// PCI devices must be named when DPDK starts (EalOptions::pci_device); all others are made when they are opened.
bool is_pci_device(const std::string& device);

class DpdkDevice {
 public:
  /// `pool` must outlive the device.
  static net::Result<std::unique_ptr<DpdkDevice>> open(MbufPool& pool, const DpdkDeviceOptions& options);
  ~DpdkDevice();
  DpdkDevice(const DpdkDevice&) = delete;
  DpdkDevice& operator=(const DpdkDevice&) = delete;

  unsigned queue_count() const noexcept { return static_cast<unsigned>(ports_.size()); }
  /// Lives as long as the device.
  Port& queue(unsigned index) noexcept { return *ports_[index]; }
  net::Mac mac() const noexcept { return mac_; }
  bool link_is_up() const noexcept;
  DpdkStatistics statistics() const noexcept;

 private:
  DpdkDevice(std::uint16_t id, std::string name) : id_(id), name_(std::move(name)) {}
  net::Result<void> start(MbufPool& pool, const DpdkDeviceOptions& options);

  std::uint16_t id_;
  std::string name_;
  net::Mac mac_;
  std::vector<std::unique_ptr<Port>> ports_;
};

}  // namespace millrace::datapath::io
