/// UplinkProgram: the XDP program of uplinks (xdp/uplink.bpf.c) and the rules by which it takes packets.
///
/// Theory:  what a snapshot serves must be taken before workers have it, and may be left to the kernel only when none
///          has the snapshot before: so rules come in two steps, widen() and narrow().
/// Shape:   one program and one set of rules for all uplinks of a switch. Loaded it takes nothing.
/// Errors:  those of XdpProgram; kResourceExhausted when there are more frontends or prefixes than a map holds.
/// Thread:  one control thread at a time; the program reads the maps at any time.
#pragma once

#include <memory>
#include <set>

#include "datapath/io/xdp_program.h"
#include "datapath/uplink_rules.h"
#include "net/result.h"

struct uplink_bpf;

namespace millrace::datapath::io {

class UplinkProgram {
 public:
  static net::Result<std::unique_ptr<UplinkProgram>> load();

  /// For AfXdpOptions::program.
  const std::shared_ptr<const XdpProgram>& program() const noexcept { return program_; }
  /// Takes what `rules` name, and the frontends and local prefixes it took before. A masquerade or VTEP address that is
  /// another than before takes its place at once: the flows of the one before are over. On an error some of it may be
  /// taken.
  net::Result<void> widen(const UplinkRules& rules);
  /// Takes what `rules` name and nothing else. Precondition: widen() of the same rules.
  net::Result<void> narrow(const UplinkRules& rules);

 private:
  UplinkProgram(std::shared_ptr<uplink_bpf> skeleton, std::shared_ptr<const XdpProgram> program)
      : skeleton_(std::move(skeleton)), program_(std::move(program)) {}
  net::Result<void> write_settings();
  net::Result<void> add_prefixes(const std::vector<net::Prefix>& prefixes);
  net::Result<void> keep_prefixes(const std::vector<net::Prefix>& prefixes);

  std::shared_ptr<uplink_bpf> skeleton_;
  std::shared_ptr<const XdpProgram> program_;
  UplinkRules settings_;                // addresses and ports that are taken
  std::set<UplinkFrontend> frontends_;  // in the map
  std::set<net::Prefix> prefixes_;      // in the map
};

}  // namespace millrace::datapath::io
