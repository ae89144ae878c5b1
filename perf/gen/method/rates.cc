#include "perf/gen/method/rates.h"

#include <algorithm>

#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {

std::vector<StreamDescription> with_rate(std::vector<StreamDescription> streams, double pps, double link_bps) {
  double all = 0;
  std::vector<double> shares;
  for (const StreamDescription& stream : streams) {
    const double own = packets_per_second(stream, link_bps);
    shares.push_back(own > 0 ? own : 0);
    all += shares.back();
  }
  const bool alike = std::ranges::any_of(shares, [](double share) { return share == 0; });
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const double share = alike ? 1 / static_cast<double>(streams.size()) : shares[i] / all;
    streams[i].rate = pps > 0 ? Rate{Rate::Unit::kPacketsPerSecond, pps * share} : Rate{};
  }
  return streams;
}

std::vector<StreamDescription> with_size(std::vector<StreamDescription> streams, std::uint32_t bytes) {
  for (StreamDescription& stream : streams) stream.sizes = {{.bytes = bytes, .weight = 1}};
  return streams;
}

std::vector<StreamDescription> with_flows(std::vector<StreamDescription> streams, std::uint32_t flows) {
  for (StreamDescription& stream : streams) {
    stream.flows = flows;
    if (stream.own_fields) continue;
    stream.fields.clear();
    add_default_fields(stream);
  }
  return streams;
}

}  // namespace millrace::perf::gen
