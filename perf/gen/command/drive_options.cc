#include "perf/gen/command/drive_options.h"

#include <fmt/format.h>

#include <set>

#include "perf/gen/stop_signal.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

constexpr double kMostSeconds = 86400;
constexpr std::uint64_t kMostValue = 1'000'000'000'000;

/// A rate of packets, in packets a second.
net::Result<double> packet_rate(const char* flag, const std::string& text) {
  const auto rate = parse_rate(text);
  if (!rate || rate->unit != Rate::Unit::kPacketsPerSecond) {
    return net::invalid_argument(fmt::format("{} {}: packets a second, such as 100kpps", flag, text));
  }
  return rate->value;
}

}  // namespace

void DriveOptions::describe_reconfiguration(CLI::App& app) {
  app.add_option("--reconfigure", change_, "Command that changes the device while packets run; {i} is its number")
      ->group("Device");
  app.add_option("--every", every_seconds_, "Seconds from one change to the next")
      ->capture_default_str()
      ->check(CLI::Range(0.1, kMostSeconds))
      ->group("Device");
  app.add_option("--first", first_seconds_, "Seconds to the first change; 0: as to the next ones")
      ->capture_default_str()
      ->check(CLI::Range(0.0, kMostSeconds))
      ->group("Device");
  app.add_option("--command-timeout", timeout_seconds_, "Seconds after which a command is killed")
      ->capture_default_str()
      ->check(CLI::Range(0.1, kMostSeconds))
      ->group("Device");
}

void DriveOptions::describe_sweep(CLI::App& app, MethodOptions& method) {
  app.add_option("--configure", configure_, "sweep: command that gives the device {n} of what is counted")
      ->group("Device");
  app.add_option("--values", method.values, "sweep: a search for each {n}, such as 10,100,1000")
      ->delimiter(',')
      ->check(CLI::Range(std::uint64_t{0}, kMostValue))
      ->group("Device");
  app.add_option("--load", method.load, "reconfigure: share of the throughput at which packets run meanwhile")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1.0))
      ->group("Device");
  app.add_option("--load-rate", method.load_pps, "reconfigure: packets a second in place of --load and its search")
      ->check(CLI::Range(1.0, 1e9))
      ->group("Device");
  app.add_option("--load-seconds", method.load_seconds, "reconfigure: how long they run")
      ->capture_default_str()
      ->check(CLI::Range(0.1, kMostSeconds))
      ->group("Device");
}

void DriveOptions::describe_connections(CLI::App& app, MethodOptions& method) {
  app.add_flag("--established", established_,
               "throughput, latency, frame-loss and others: before each trial every flow is established (RFC 9693)")
      ->group("Connections");
  app.add_option("--establish-rate", establish_rate_,
                 "Rate of first packets, such as 100kpps; capacity: without it half of what is found")
      ->group("Connections");
  app.add_option("--reset", reset_, "Command that empties the device's table before connections are made")
      ->group("Connections");
  app.add_option("--rest", rest_seconds_, "Seconds to wait after it, or in its place: the device's timeout")
      ->capture_default_str()
      ->check(CLI::Range(0.0, kMostSeconds))
      ->group("Connections");
  app.add_option("--least-connections", method.least_connections, "connection-capacity: where the search begins")
      ->capture_default_str()
      ->check(CLI::Range(1u, kMaxFlows))
      ->group("Connections");
  app.add_option("--most-connections", method.most_connections, "connection-capacity: where it ends at the latest")
      ->capture_default_str()
      ->check(CLI::Range(1u, kMaxFlows))
      ->group("Connections");
}

ShellOptions DriveOptions::shell() const { return {.timeout_seconds = timeout_seconds_, .stopped = stop_requested}; }

TableOptions DriveOptions::table() const { return {.reset = reset_, .rest_seconds = rest_seconds_, .shell = shell()}; }

std::unique_ptr<Reconfigurer> DriveOptions::reconfigurer() const {
  if (change_.empty()) return nullptr;
  return std::make_unique<Reconfigurer>(
      ReconfigureOptions{.command = change_,
                         .first_seconds = first_seconds_ > 0 ? first_seconds_ : every_seconds_,
                         .every_seconds = every_seconds_,
                         .shell = shell()});
}

net::Result<void> DriveOptions::check_sweep(const MethodOptions& options) const {
  if (configure_.empty()) return net::invalid_argument("--configure: sweep needs the command that sets a number, {n}");
  if (configure_.find("{n}") == std::string::npos) {
    return net::invalid_argument("--configure: {n} is not in it, so every number would be the same");
  }
  if (options.values.empty()) return net::invalid_argument("--values: sweep needs the numbers, such as 10,100,1000");
  if (std::set(options.values.begin(), options.values.end()).size() != options.values.size()) {
    return net::invalid_argument("--values: a number stands there twice");
  }
  return {};
}

net::Result<void> DriveOptions::check_connections(const std::string& method, MethodOptions& options) const {
  if (!establish_rate_.empty()) {
    const auto rate = packet_rate("--establish-rate", establish_rate_);
    if (!rate) return rate.error();
    options.establish_pps = *rate;
  }
  const bool names_rate = options.establish_pps > 0;
  const bool empties = !reset_.empty() || rest_seconds_ > 0;
  if (method.starts_with("connection-") && !empties) {
    return net::invalid_argument(fmt::format(
        "--reset: {} begins every trial with an empty table: the command that empties it, or --rest and its timeout",
        method));
  }
  if (method == "connection-teardown" && reset_.empty()) {
    return net::invalid_argument("--reset: connection-teardown measures the command that empties the table");
  }
  if ((method == "connection-teardown" || established_) && !names_rate) {
    return net::invalid_argument("--establish-rate: at which rate connections are made, one that the device bears");
  }
  if (options.least_connections > options.most_connections) {
    return net::invalid_argument(fmt::format("--least-connections {}: at most --most-connections {}",
                                             options.least_connections, options.most_connections));
  }
  return {};
}

net::Result<void> DriveOptions::prepare(const std::string& method, MethodOptions& options) const {
  if (method == "sweep") {
    if (auto checked = check_sweep(options); !checked) return checked;
  }
  if (method == "reconfigure" && change_.empty()) {
    return net::invalid_argument("--reconfigure: reconfigure needs the command that changes the device");
  }
  if (method != "reconfigure" && !change_.empty()) {
    return net::invalid_argument(fmt::format("--reconfigure: not with {}", method));
  }
  if (established_ && (method.starts_with("connection-") || method == "soak" || method == "back-to-back")) {
    return net::invalid_argument(fmt::format("--established: not with {}", method));
  }
  if (auto checked = check_connections(method, options); !checked) return checked;
  options.configure = [this](std::uint64_t value) -> net::Result<double> {
    const auto done = run_shell(with_value(configure_, "n", value), shell());
    if (!done) return done.error();
    return done->seconds;
  };
  options.empty_table = [this] { return empty_table(table()); };
  return {};
}

std::unique_ptr<TrialRunner> DriveOptions::around(const std::string& method, TrialRunner& runner,
                                                  const MethodOptions& options) const {
  if (method.starts_with("connection-")) {
    return std::make_unique<EstablishingRunner>(runner, table(), method == "connection-capacity");
  }
  if (established_) return std::make_unique<EstablishedRunner>(runner, table(), options.establish_pps);
  return nullptr;
}

}  // namespace millrace::perf::gen
