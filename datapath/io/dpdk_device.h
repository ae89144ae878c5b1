/// DpdkDevice: a device that DPDK drives by itself (a NIC bound to vfio-pci, a virtio-user or pcap device), and its
/// queues as Ports.
///
/// Shape:   receive and as many send queues, each pair a Port. Packets are received into the pool's frames and sent
///          from them, whole and in one segment. The device does no checksums: what it is given is complete.
///          Promiscuous: the kernel's end of the node's link has a MAC of its own until it is given the device's. A
///          queue that is left keeps the device open.
/// Thread:  open, the destructor, all that is told of the device: control threads; the destructor while no worker polls
///          a queue. The Port calls: the queue's worker.
/// Errors:  kNotFound when DPDK knows no such device; kFailedPrecondition with DPDK's reason when it cannot be set up,
///          or is open already.
/// Source:  DPDK Programmer's Guide 22.11, "Poll Mode Driver".
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "datapath/io/mbuf_pool.h"
#include "datapath/port.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::datapath::io {

struct DpdkDeviceOptions {
  std::string device;           // as DPDK names it: "0000:3b:00.0", "net_pcap0,iface=eth1"
  unsigned queues = 1;          // at most so many: as many as the device has, when these are fewer
  std::uint16_t mtu_bytes = 0;  // of an IP packet; 0: the driver's own
  std::uint16_t rx_descriptors = 1024;
  std::uint16_t tx_descriptors = 1024;
};

/// What the device dropped before the switch saw it.
struct DpdkStatistics {
  std::uint64_t rx_missed = 0;    // the worker did not come in time
  std::uint64_t rx_no_frame = 0;  // the packet pool was empty
  std::uint64_t rx_errors = 0;    // those larger than a frame of the pool among them
};

/// PCI devices must be named when DPDK starts (EalOptions::pci_device); all others are made when they are opened.
bool is_pci_device(const std::string& device);
/// Of a PCI device, as the kernel says; -1: unknown, or no PCI device.
int numa_node_of_device(const std::string& device);

class DpdkQueue;

class DpdkDevice : public std::enable_shared_from_this<DpdkDevice> {
 public:
  /// `pool` must outlive the device.
  static net::Result<std::shared_ptr<DpdkDevice>> open(MbufPool& pool, const DpdkDeviceOptions& options);
  ~DpdkDevice();
  DpdkDevice(const DpdkDevice&) = delete;
  DpdkDevice& operator=(const DpdkDevice&) = delete;

  unsigned queue_count() const noexcept { return queue_count_; }
  /// Once for each queue: two workers must not poll the same.
  std::unique_ptr<DpdkQueue> queue(unsigned index);
  net::Mac mac() const noexcept { return mac_; }
  bool link_is_up() const noexcept;
  /// True when it was taken out of the machine.
  bool is_removed() const noexcept;
  DpdkStatistics statistics() const noexcept;
  /// Any worker.
  void note_refused() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }

 private:
  DpdkDevice(std::uint16_t id, std::string name) : id_(id), name_(std::move(name)) {}
  net::Result<void> start(MbufPool& pool, const DpdkDeviceOptions& options);

  std::uint16_t id_;
  std::string name_;
  net::Mac mac_;
  unsigned queue_count_ = 0;
  std::atomic<std::uint64_t> refused_{0};
};

class DpdkQueue final : public Port {
 public:
  DpdkQueue(std::shared_ptr<DpdkDevice> device, std::uint16_t id, std::uint16_t queue)
      : device_(std::move(device)), id_(id), queue_(queue) {}

  unsigned receive(std::span<net::Packet*> out) noexcept override;
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override;
  const DpdkDevice& device() const noexcept { return *device_; }

 private:
  const std::shared_ptr<DpdkDevice> device_;
  const std::uint16_t id_;
  const std::uint16_t queue_;
};

}  // namespace millrace::datapath::io
