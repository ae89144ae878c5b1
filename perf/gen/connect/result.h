/// What a run of connections is asked for, and what came of it.
///
/// Thread:  plain values.
#pragma once

#include <cstdint>

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

struct ConnectResult {
  double seconds = 0;
  ClientCounts counts;
  Histogram connect_ns, response_ns;
  double idle = 0, taken = 0;
};

}  // namespace millrace::perf::gen
