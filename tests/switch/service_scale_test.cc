// Ten thousand services with a hundred thousand endpoints over the socket, and one change among them.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "tests/switch/switch_server.h"
#include "tests/switch/test_services.h"

namespace millrace::control::switchd {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr unsigned kServices = 10'000;
constexpr unsigned kBackends = 10;  // of each
/// Of this process: other work on the machine is not counted, the client's part is.
constexpr double kLoadSeconds = 5;
constexpr double kChangeSeconds = 0.05;

double process_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class ServiceScale : public ServiceTest {
 protected:
  ServiceScale() : ServiceTest({.ack_timeout = std::chrono::milliseconds(5000)}) {}

  /// Sends it; prints and returns what it cost.
  double cost(const char* what, const api::ApplyRequest& request) {
    api::ApplyReply reply;
    const double cpu_begin = process_seconds();
    const auto begin = steady_clock::now();
    const grpc::Status status = apply(request, &reply);
    const double seconds = duration<double>(steady_clock::now() - begin).count();
    const double cpu_seconds = process_seconds() - cpu_begin;
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::printf("%-20s %8.1f ms, of it on a CPU %8.1f ms\n", what, seconds * 1e3, cpu_seconds * 1e3);
    return cpu_seconds;
  }
};

TEST_F(ServiceScale, AllInFiveSecondsAndOneChangeInFiftyMilliseconds) {
  api::ApplyRequest all;
  all.set_replace_all(true);
  for (unsigned i = 0; i < kServices; ++i) *all.add_upsert_services() = numbered_service(i, kBackends);
  std::printf("%-20s %8zu bytes\n", "request", all.ByteSizeLong());
  EXPECT_LT(cost("all services", all), kLoadSeconds);
  const auto table = sw_.publisher.current()->services;
  EXPECT_EQ(table->service_count(), kServices);
  EXPECT_EQ(table->backend_count(), kServices * kBackends);

  api::ApplyRequest one;
  *one.add_upsert_services() = numbered_service(kServices / 2, kBackends + 1);
  EXPECT_LT(cost("one changed", one), kChangeSeconds);
  EXPECT_EQ(sw_.publisher.current()->services->backend_count(), kServices * kBackends + 1);

  *all.mutable_upsert_services(kServices / 2) = one.upsert_services(0);
  const std::uint64_t generation = sw_.state->generation();
  EXPECT_LT(cost("all again", all), kLoadSeconds);
  EXPECT_EQ(sw_.state->generation(), generation) << "nothing changed";
}

}  // namespace
}  // namespace millrace::control::switchd
