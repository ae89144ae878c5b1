/// Profile from YAML: the streams of a run, read and checked.
///
/// Shape:   link: 10G                     what percent are of, bits a second (10G)
///          streams:                      at most kMaxStreams
///            - name, port, source-mac, destination-mac, vlan (ID, or up to two of {id, priority}), source-ip,
///              destination-ip, protocol (udp tcp sctp icmp), source-port, destination-port, ttl, dscp,
///              tcp-flags (letters of F S R P A U), size (BYTES, imix, or a list of {bytes, weight}), rate
///              (1Mpps, 2.5Gbps, 30%, max), burst, flows, order (in-turn shuffled random zipf), zipf-exponent, seed,
///              vxlan {vni, source-mac, destination-mac, source-ip, destination-ip, port}, replay (a pcap file),
///              fields: list of {field, mode (increment random list), first, count, step, list}
///          Flags of the command line are the same keys: stream_from_yaml reads a mapping of them.
///          Without fields, flows differ in source port (60000 of them), then in destination port.
/// Errors:  kInvalidArgument names the key and what is allowed; kNotFound: the file.
/// Thread:  control code; allocates.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

#include "net/result.h"
#include "perf/gen/stream/description.h"

namespace millrace::perf::gen {

net::Result<Profile> load_profile(const std::string& file);
net::Result<Profile> profile_from_text(const std::string& yaml);
/// One stream; `path` begins its errors.
net::Result<StreamDescription> stream_from_yaml(const YAML::Node& mapping, const std::string& path);

/// The fields of a stream that names none: of a client, source ports, then destination ports; addresses stay its own.
void add_default_fields(StreamDescription& stream);

/// "1.5Mpps", "2.5Gbps", "30%", "max".
net::Result<Rate> parse_rate(const std::string& text);
std::string to_string(const Rate& rate);

}  // namespace millrace::perf::gen
