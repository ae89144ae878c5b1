#include "perf/gen/command/man_page.h"

#include <fmt/format.h>

namespace millrace::perf::gen {
namespace {

constexpr const char* kHead = R"(.\" Made by `millrace-gen man-page`; a test compares the two.
.TH MILLRACE-GEN 8 "" "Millrace {}"
.SH NAME
millrace\-gen \- send packets, and measure what a network device makes of them
.SH SYNOPSIS
.B millrace\-gen
\fICOMMAND\fR [\fIOPTIONS\fR]
.SH DESCRIPTION
A traffic generator for any DPDK device: vhost\-user ports of a virtual switch (virtio\-user), interfaces of the kernel
(AF_XDP), NICs, rings and pcap files. It tells loss, order, duplicates, damage, and the latency of every packet from the
time at which it was due.
.SH EXAMPLES
.TP
Streams of 10000 flows between two ports of a switch, shown as they run
.EX
millrace\-gen run \-\-port net_virtio_user0,path=/run/vh0.sock \-\-port net_virtio_user1,path=/run/vh1.sock \e
    \-\-flows 10000 \-\-rate 1Mpps \-\-seconds 30 \-\-live
.EE
.TP
The highest rate without loss (RFC 2544) of four sizes, with a report
.EX
millrace\-gen test throughput \-\-port ... \-\-port ... \-\-sizes 60,508,1020,1514 \-\-html report.html
.EE
.TP
How throughput depends on the number of rules
.EX
millrace\-gen test sweep \-\-port ... \-\-port ... \-\-configure './rules.sh {{n}}' \-\-values 10,100,1000,10000
.EE
.TP
Connections a second through NAT, answered at the second port
.EX
millrace\-gen connect \-\-port ... \-\-port ... \-\-server\-port 1 \-\-protocol tcp \-\-rate 100000 \-\-seconds 10
.EE
.SH COMMANDS
)";

constexpr const char* kTail = R"(.SH EXIT STATUS
0: done. 1: it failed, or a sweep ended before its end, with a sentence on stderr. 100 and more: a mistake in the words.
.SH SIGNALS
SIGINT and SIGTERM end what runs in good order: the result up to then is written.
.SH SEE ALSO
.BR millrace (8),
docs/millrace\-gen.md
)";

/// Text as roff wants it: no request at the start of a line, hyphens that can be copied.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += std::string("\\&") + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string option_line(const CLI::Option& option) {
  std::string line =
      ".TP\n\\fB" + roff(option.get_positional() ? option.get_name(true) : option.get_name(false, true)) + "\\fR";
  if (!option.get_type_name().empty() && option.get_items_expected_max() > 0) {
    line += " \\fI" + roff(option.get_type_name()) + "\\fR";
  }
  if (!option.get_default_str().empty()) line += " (" + roff(option.get_default_str()) + ")";
  return line + "\n" + roff(option.get_description()) + "\n";
}

}  // namespace

std::string man_page(const CLI::App& app) {
  std::string out = fmt::format(kHead, MILLRACE_VERSION);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    out += fmt::format(".SS millrace\\-gen {}\n{}.\n", roff(command->get_name()), roff(command->get_description()));
    for (const CLI::Option* option : command->get_options()) {
      if (option != command->get_help_ptr()) out += option_line(*option);
    }
  }
  return out + kTail;
}

}  // namespace millrace::perf::gen
