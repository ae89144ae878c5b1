/// What a run of connections is asked for, and what came of it.
///
/// Thread:  plain values.
#pragma once

#include <cstdint>
#include <vector>

#include "perf/gen/connect/clients.h"

namespace millrace::perf::gen {

struct ConnectOptions {
  ClientOptions clients;
  unsigned client_port = 0;
  int server_port = -1;
  double connections_per_second = 0;  // 0: as fast as slots become free
  std::uint64_t connections = 0;      // then it ends; 0: by the time alone
  double seconds = 10;
  double drain_seconds = 2;
};

/// What happened in one interval of the run, and all counts by its end.
struct ConnectSample {
  double seconds = 0, of_seconds = 0;
  double completed_per_second = 0, failed_per_second = 0;
  ClientCounts counts;
  std::uint64_t connect_p50_ns = 0, connect_p99_ns = 0, connect_most_ns = 0;  // of the interval
  std::uint64_t response_p50_ns = 0, response_p99_ns = 0, response_most_ns = 0;
  double idle = 0;
};

struct ConnectResult {
  double seconds = 0;
  ClientCounts counts;
  Histogram connect_ns, response_ns;
  double idle = 0, taken = 0;
  std::vector<ConnectSample> samples;
};

}  // namespace millrace::perf::gen
