// millrace-gen: streams over DPDK devices; UDP out of a kernel interface, counted where it arrives. See README.md.
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <system_error>

#include "perf/gen/command/connect_command.h"
#include "perf/gen/command/man_page.h"
#include "perf/gen/command/report_command.h"
#include "perf/gen/command/run_command.h"
#include "perf/gen/command/test_command.h"
#include "perf/gen/receiver.h"
#include "perf/gen/report.h"
#include "perf/gen/sender.h"
#include "perf/gen/stop_signal.h"

namespace {

using namespace millrace;
using namespace millrace::perf::gen;

struct SendCommand {
  std::string interface, source_mac, destination_mac, source_ip, destination_ip;
  std::uint16_t destination_port = 8080;
  std::uint32_t flows = 1;
  std::uint32_t size = 64;
  double seconds = 10;
  std::uint64_t rate_pps = 0;
  unsigned show = 0;
  bool json = false;
};

struct ReceiveCommand {
  std::string interface;
  double seconds = 10;
  double warm_up = 0;
  bool json = false;
};

int fail(const net::Error& error) {
  fmt::print(stderr, "millrace-gen: {}\n", error.message);
  return 1;
}

net::Result<FlowOptions> flow_options(const SendCommand& command) {
  const auto source_mac = net::Mac::parse(command.source_mac);
  const auto destination_mac = net::Mac::parse(command.destination_mac);
  const auto source = net::IpAddress::parse(command.source_ip);
  const auto destination = net::IpAddress::parse(command.destination_ip);
  if (!source_mac) return source_mac.error();
  if (!destination_mac) return destination_mac.error();
  if (!source) return source.error();
  if (!destination) return destination.error();
  return FlowOptions{.source_mac = *source_mac,
                     .destination_mac = *destination_mac,
                     .source_ip = *source,
                     .destination_ip = *destination,
                     .destination_port = command.destination_port,
                     .flows = command.flows,
                     .frame_bytes = command.size};
}

int show(Sender& sender, unsigned count) {
  const auto frames = sender.preview(count);
  if (!frames) return fail(frames.error());
  for (const auto& frame : *frames) {
    for (const std::uint8_t byte : frame) std::printf("%02x", byte);
    std::printf("\n");
  }
  return 0;
}

int run(const SendCommand& command) {
  const auto options = flow_options(command);
  if (!options) return fail(options.error());
  auto sender = Sender::open(command.interface, *options);
  if (!sender) return fail(sender.error());
  if (command.show != 0) return show(*sender, command.show);
  const auto result = sender->run(std::chrono::duration<double>(command.seconds), command.rate_pps);
  if (!result) return fail(result.error());
  const auto text = command.json ? send_json : send_line;
  fmt::print("{}\n", text(command.interface, *result, command.size));
  return 0;
}

int run(const ReceiveCommand& command) {
  auto receiver = Receiver::open(command.interface);
  if (!receiver) return fail(receiver.error());
  // Whoever started this waits for the line before it lets packets come.
  fmt::print(stderr, "counting on {} ({} XDP)\n", command.interface, receiver->native() ? "native" : "generic");
  const auto result =
      receiver->run(std::chrono::duration<double>(command.warm_up), std::chrono::duration<double>(command.seconds));
  if (!result) return fail(result.error());
  const auto text = command.json ? receive_json : receive_line;
  fmt::print("{}\n", text(command.interface, *result));
  return 0;
}

void describe(CLI::App& app, SendCommand& command) {
  app.add_option("--interface", command.interface, "Interface to send from")->required();
  app.add_option("--source-mac", command.source_mac, "Source MAC of every frame")->required();
  app.add_option("--destination-mac", command.destination_mac, "Destination MAC, e.g. the gateway's")->required();
  app.add_option("--source-ip", command.source_ip, "Source address, IPv4 or IPv6")->required();
  app.add_option("--destination-ip", command.destination_ip, "Destination address of the same family")->required();
  app.add_option("--destination-port", command.destination_port, "UDP port of the first flows")->capture_default_str();
  app.add_option("--flows", command.flows, "Flows, told apart by their ports, sent in turn")->capture_default_str();
  app.add_option("--size", command.size, "Bytes of a frame, without the FCS")->capture_default_str();
  app.add_option("--seconds", command.seconds, "How long")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--rate-pps", command.rate_pps, "Packets a second; 0: as fast as possible")->capture_default_str();
  app.add_option("--show", command.show, "Print the first N frames in hex and send nothing");
  app.add_flag("--json", command.json, "Print the result as JSON");
}

void describe(CLI::App& app, ReceiveCommand& command) {
  app.add_option("--interface", command.interface, "Interface to count on")->required();
  app.add_option("--seconds", command.seconds, "How long; 0: until interrupted")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--warm-up", command.warm_up, "Seconds that are not counted, before")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", command.json, "Print the result as JSON");
}

int run_program(int argc, char** argv) {
  libbpf_set_print(nullptr);
  CLI::App app("Sends packets over DPDK devices or an interface's XDP layer, and measures what becomes of them");
  app.require_subcommand(1);
  SendCommand send;
  ReceiveCommand receive;
  CLI::App* const send_app = app.add_subcommand("send", "Send UDP, IPv4 or IPv6");
  CLI::App* const receive_app = app.add_subcommand("receive", "Count and drop the UDP that arrives");
  RunCommand run_streams;
  CLI::App* const run_app = app.add_subcommand("run", "Send streams over DPDK devices and measure what comes back");
  run_streams.describe(*run_app);
  ConnectCommand connect;
  CLI::App* const connect_app = app.add_subcommand("connect", "Open TCP connections or UDP transactions at a rate");
  connect.describe(*connect_app);
  ReportCommand report;
  CLI::App* const report_app = app.add_subcommand("report", "One page of several results, laid over each other");
  report.describe(*report_app);
  TestCommand test;
  CLI::App* const test_app =
      app.add_subcommand("test", "Measure by a method: throughput, NDR and PDR, latency, bursts, loss");
  test.describe(*test_app);
  describe(*send_app, send);
  describe(*receive_app, receive);
  const CLI::App* const man_page_app = app.add_subcommand("man-page", "Print this program's manual page");
  app.set_version_flag("--version", std::string("Millrace ") + MILLRACE_VERSION);
  CLI11_PARSE(app, argc, argv);
  if (man_page_app->parsed()) {
    fmt::print("{}", man_page(app));
    return 0;
  }
  install_stop_signal();
  if (report_app->parsed()) {
    const auto done = report.run();
    return done ? 0 : fail(done.error());
  }
  if (connect_app->parsed()) {
    const auto done = connect.run();
    return done ? 0 : fail(done.error());
  }
  if (run_app->parsed() || test_app->parsed()) {
    const auto done = run_app->parsed() ? run_streams.run() : test.run();
    return done ? 0 : fail(done.error());
  }
  return receive_app->parsed() ? run(receive) : run(send);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const std::system_error& error) {  // whoever read what is printed has gone
    std::fprintf(stderr, "millrace-gen: %s\n", error.what());
    return 1;
  }
}
