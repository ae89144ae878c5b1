#include "datapath/io/dpdk_device.h"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <fstream>
#include <regex>

namespace millrace::datapath::io {
namespace {

net::Error failed(const std::string& name, const char* what, int code) {
  return net::failed_precondition(fmt::format("device {}: {}: {}", name, what, rte_strerror(code < 0 ? -code : code)));
}

/// The name of a device without its arguments.
std::string name_of(const std::string& device) { return device.substr(0, device.find(',')); }

}  // namespace

unsigned DpdkQueue::receive(std::span<net::Packet*> out) noexcept {
  std::array<rte_mbuf*, kBurst> mbufs;
  const auto room = static_cast<std::uint16_t>(std::min<std::size_t>(out.size(), mbufs.size()));
  const unsigned received = rte_eth_rx_burst(id_, queue_, mbufs.data(), room);
  unsigned count = 0;
  for (unsigned i = 0; i < received; ++i) {
    rte_mbuf& mbuf = *mbufs[i];
    if (mbuf.nb_segs != 1) [[unlikely]] {
      rte_pktmbuf_free(&mbuf);
      device_->note_refused();
      continue;
    }
    net::Packet& packet = *(out[count++] = packet_of(&mbuf));
    MbufPool::reset(packet);
    packet.data = rte_pktmbuf_mtod(&mbuf, std::uint8_t*);
    packet.head_bytes = mbuf.data_len;
    packet.length_bytes = mbuf.pkt_len;
  }
  return count;
}

unsigned DpdkQueue::transmit(std::span<net::Packet* const> packets) noexcept {
  std::array<rte_mbuf*, kBurst> mbufs;
  const std::size_t count = std::min<std::size_t>(packets.size(), mbufs.size());
  for (std::size_t i = 0; i < count; ++i) {
    const net::Packet& packet = *packets[i];
    assert(packet.length_bytes == packet.head_bytes && packet.length_bytes != 0);
    rte_mbuf& mbuf = *(mbufs[i] = mbuf_of(&packet));
    mbuf.data_off = static_cast<std::uint16_t>(packet.data - packet.buffer);
    mbuf.data_len = static_cast<std::uint16_t>(packet.length_bytes);
    mbuf.pkt_len = packet.length_bytes;
    mbuf.nb_segs = 1;
    mbuf.next = nullptr;
    mbuf.ol_flags = 0;
  }
  return rte_eth_tx_burst(id_, queue_, mbufs.data(), static_cast<std::uint16_t>(count));
}

bool is_pci_device(const std::string& device) {
  static const std::regex address("([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7]");
  return std::regex_match(name_of(device), address);
}

int numa_node_of_device(const std::string& device) {
  if (!is_pci_device(device)) return -1;
  const std::string name = name_of(device);
  constexpr std::size_t kWithoutDomain = 7;  // "3b:00.0"
  std::ifstream file("/sys/bus/pci/devices/" + (name.size() == kWithoutDomain ? "0000:" + name : name) + "/numa_node");
  int node = -1;
  return file >> node ? node : -1;
}

net::Result<std::shared_ptr<DpdkDevice>> DpdkDevice::open(MbufPool& pool, const DpdkDeviceOptions& options) {
  const std::string name = name_of(options.device);
  std::uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
    const int code = rte_dev_probe(options.device.c_str());
    if (code != 0 && is_pci_device(options.device)) {
      return net::not_found(
          fmt::format("device {}: it is not bound to vfio-pci, or millraced has no driver for it", name));
    }
    if (code != 0) return failed(name, "DPDK makes none", code);
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
      return net::not_found(fmt::format("device {}: it is no network device", name));
    }
  }
  // Also what tells two opens apart: a second one must not close what the first one has.
  rte_eth_dev_owner owner{.id = RTE_ETH_DEV_NO_OWNER, .name = "millrace"};
  if (const int code = rte_eth_dev_owner_new(&owner.id); code != 0) return failed(name, "owner", code);
  if (rte_eth_dev_owner_set(id, &owner) != 0) {
    return net::failed_precondition(fmt::format("device {}: it is open already", name));
  }
  std::shared_ptr<DpdkDevice> device(new DpdkDevice(id, name));
  if (auto started = device->start(pool, options); !started) return started.error();
  return device;
}

net::Result<void> DpdkDevice::start(MbufPool& pool, const DpdkDeviceOptions& options) {
  rte_eth_dev_info info{};
  if (const int code = rte_eth_dev_info_get(id_, &info); code != 0) return failed(name_, "information", code);
  const unsigned most = std::min(info.max_rx_queues, info.max_tx_queues);
  const auto queues = static_cast<std::uint16_t>(std::clamp(options.queues, 1u, std::max(most, 1u)));
  rte_eth_conf configuration{};
  if (queues > 1) {
    configuration.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    configuration.rx_adv_conf.rss_conf.rss_hf =
        (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP) & info.flow_type_rss_offloads;
  }
  const auto frees_at_once = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;  // one pool, one reference
  configuration.txmode.offloads = frees_at_once;
  configuration.rxmode.mtu = options.mtu_bytes;
  if (const int code = rte_eth_dev_configure(id_, queues, queues, &configuration); code != 0) {
    return failed(name_, "configure", code);
  }
  std::uint16_t rx = options.rx_descriptors, tx = options.tx_descriptors;
  if (const int code = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx); code != 0) {
    return failed(name_, "descriptors", code);
  }
  const int node = rte_eth_dev_socket_id(id_);
  const auto socket = node < 0 ? static_cast<unsigned>(SOCKET_ID_ANY) : static_cast<unsigned>(node);
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    if (const int code = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool.mempool()); code != 0) {
      return failed(name_, "receive queue", code);
    }
    if (const int code = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr); code != 0) {
      return failed(name_, "send queue", code);
    }
  }
  queue_count_ = queues;
  if (const int code = rte_eth_dev_start(id_); code != 0) return failed(name_, "start", code);
  if (const int code = rte_eth_promiscuous_enable(id_); code != 0 && code != -ENOTSUP) {
    return failed(name_, "promiscuous mode", code);
  }
  rte_ether_addr address{};
  if (const int code = rte_eth_macaddr_get(id_, &address); code != 0) return failed(name_, "MAC address", code);
  std::ranges::copy(address.addr_bytes, mac_.bytes.begin());
  return {};
}

DpdkDevice::~DpdkDevice() {
  rte_eth_dev_info info{};
  const bool known = rte_eth_dev_info_get(id_, &info) == 0;
  rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);                                            // gives the frames it has back to the pool
  if (known && info.device != nullptr) rte_dev_remove(info.device);  // so that it can be probed again
}

std::unique_ptr<DpdkQueue> DpdkDevice::queue(unsigned index) {
  assert(index < queue_count_);
  return std::make_unique<DpdkQueue>(shared_from_this(), id_, static_cast<std::uint16_t>(index));
}

bool DpdkDevice::is_removed() const noexcept { return rte_eth_dev_is_removed(id_) != 0; }

bool DpdkDevice::link_is_up() const noexcept {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

DpdkStatistics DpdkDevice::statistics() const noexcept {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) return {};
  return {.rx_missed = stats.imissed,
          .rx_no_frame = stats.rx_nombuf,
          .rx_errors = stats.ierrors + refused_.load(std::memory_order_relaxed)};
}

}  // namespace millrace::datapath::io
