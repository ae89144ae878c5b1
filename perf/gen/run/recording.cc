#include "perf/gen/run/recording.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

namespace millrace::perf::gen {
namespace {

struct Close {
  void operator()(pcap_t* file) const noexcept { pcap_close(file); }
};

}  // namespace

net::Result<RecordedFrames> RecordedFrames::load(const std::string& file) {
  if (!std::filesystem::exists(file)) return net::not_found(fmt::format("replay {}: there is no such file", file));
  std::array<char, PCAP_ERRBUF_SIZE> reason{};
  const std::unique_ptr<pcap_t, Close> pcap(
      pcap_open_offline_with_tstamp_precision(file.c_str(), PCAP_TSTAMP_PRECISION_NANO, reason.data()));
  const auto refused = [&](const std::string& what) {
    return net::invalid_argument(fmt::format("replay {}: {}", file, what));
  };
  if (!pcap) return refused(reason.data());
  if (pcap_datalink(pcap.get()) != DLT_EN10MB) return refused("no recording of Ethernet frames");
  RecordedFrames recorded;
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  int status = 0;
  std::uint64_t first_ns = 0;
  while ((status = pcap_next_ex(pcap.get(), &header, &data)) == 1) {
    const std::size_t number = recorded.size();
    if (header->caplen < header->len) return refused(fmt::format("frame {} was cut when it was recorded", number));
    if (header->len < 14 || header->len > kMaxFrameBytes) {
      return refused(fmt::format("frame {} has {} bytes; 14 to {}", number, header->len, kMaxFrameBytes));
    }
    if (number == kMostFrames) return refused(fmt::format("more than {} frames", kMostFrames));
    if (recorded.bytes_.size() + header->len > kMostBytes)
      return refused(fmt::format("more than {} bytes", kMostBytes));
    const std::uint64_t at = static_cast<std::uint64_t>(header->ts.tv_sec) * 1'000'000'000 +
                             static_cast<std::uint64_t>(header->ts.tv_usec);  // ns, as asked for
    if (number == 0) first_ns = at;
    // Times of a recording may step back a little; a schedule does not.
    const std::uint64_t earliest = number == 0 ? 0 : recorded.times_ns_.back();
    recorded.times_ns_.push_back(std::max(earliest, at > first_ns ? at - first_ns : 0));
    recorded.bytes_.insert(recorded.bytes_.end(), data, data + header->len);
    recorded.offsets_.push_back(recorded.bytes_.size());
    recorded.most_bytes_ = std::max(recorded.most_bytes_, header->len);
  }
  if (status == PCAP_ERROR) return refused(pcap_geterr(pcap.get()));
  if (recorded.size() == 0) return refused("it is empty");
  recorded.finish();
  return recorded;
}

void RecordedFrames::finish() {
  const std::uint64_t length = times_ns_.back();
  const std::uint64_t gaps = times_ns_.size() - 1;
  period_ns_ = std::max<std::uint64_t>(1, gaps == 0 ? 1'000'000'000 : length + length / gaps);
}

}  // namespace millrace::perf::gen
