/// Trials of stateful devices: with their connections established, or that establish them, as RFC 9693 has it.
///
/// Theory:  a connection is a flow of a stream. Phase 1 sends the first packet of every flow once, in an order without
///          a pattern and at a rate of its own, through a table that is empty; each must come to where it is judged: at
///          an echo port it is answered, and the answer has come back through the translation (section 4.6,
///          validation). Phase 2 sends over the connections that are there.
/// Shape:   both are TrialRunners around the one that drives devices, so every method can be had with them.
/// Table:   `reset` empties the device's table before a phase 1, and `rest_seconds` is waited after it: for a device
///          without such a command as long as its timeout. Without either, phase 1 only refreshes what is there.
/// Errors:  those of the command and of the trials. Connections that did not come to be are no error: not_established.
/// Thread:  control code; blocks.
/// Source:  RFC 9693 sections 4.3 to 4.9.
#pragma once

#include <functional>
#include <string>

#include "perf/gen/drive/shell_command.h"
#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

struct TableOptions {
  std::string reset;
  double rest_seconds = 0;
  ShellOptions shell;
};

/// Empties the table; returns how long the command took.
net::Result<double> empty_table(const TableOptions& options);

/// The given streams as phase 1: every flow once. `options` gives what is not about packets and time.
std::pair<std::vector<StreamDescription>, TrialOptions> first_packets(std::vector<StreamDescription> streams,
                                                                      const TrialOptions& options);

/// A phase 1 through an empty table, on the runner that drives devices.
class FirstPhase {
 public:
  FirstPhase(TrialRunner& runner, TableOptions table) : runner_(runner), table_(std::move(table)) {}
  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options);
  /// The first packets once more, to connections that are there.
  net::Result<TrialResult> again(const std::vector<StreamDescription>& streams, const TrialOptions& options);
  TrialRunner& runner() { return runner_; }

 private:
  TrialRunner& runner_;
  TableOptions table_;
};

/// Each trial is a phase 1 at the rate of its streams, through an empty table.
class EstablishingRunner final : public TrialRunner {
 public:
  /// `validate`: every connection is asked once more, so that one which pushed another out is found.
  EstablishingRunner(TrialRunner& runner, TableOptions table, bool validate)
      : first_(runner, std::move(table)), validate_(validate) {}
  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) override;

 private:
  FirstPhase first_;
  bool validate_;
};

/// Each trial is a phase 1 at `establish_pps`, then a phase 2 as it was asked for.
class EstablishedRunner final : public TrialRunner {
 public:
  EstablishedRunner(TrialRunner& runner, TableOptions table, double establish_pps)
      : first_(runner, std::move(table)), establish_pps_(establish_pps) {}
  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) override;

 private:
  FirstPhase first_;
  double establish_pps_;
};

}  // namespace millrace::perf::gen
