/// Errors as a container runtime reads them: a JSON object on stdout and an exit status that is not 0.
///
/// Shape:   {"cniVersion","code","msg","details"}; code 1..99 belongs to the specification, 100 and up to this plugin.
/// Source:  CNI specification 1.1.0, section "Error"; our own codes are explained in cni-shim/README.md.
/// Thread:  plain values, any thread.
#pragma once

#include <string>

#include "net/result.h"

namespace millrace::cni_shim {

enum class CniCode : int {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kInvalidEnvironment = 4,
  kIoFailure = 5,
  kDecodeFailure = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kNotAvailable = 50,         // STATUS: ADD would fail
  kNotAvailableLimited = 51,  // STATUS: ADD would fail, and pods that exist may lack connectivity
  kExhausted = 100,           // a pool or table is full; the message names it
  kAlreadyExists = 101,       // the interface, attachment or address is in use
  kDiffers = 102,             // CHECK: the pod is not as its ADD left it
  kAgentFailure = 103,        // the agent failed inside
  kNotPermitted = 104,        // the agent refuses this caller
  kAgentMismatch = 105,       // the agent does not know this call: another version
  kIpamFailure = 110,         // a delegated IPAM plugin failed and gave no CNI error of its own
};

struct CniError {
  CniCode code = CniCode::kIoFailure;
  std::string message;  // one sentence
  std::string details;  // may be empty
};

template <typename T>
using CniResult = net::Result<T, CniError>;

/// One JSON object and a newline. Always valid JSON: bytes that are not UTF-8 become U+FFFD.
std::string render_error(const CniError& error, const std::string& cni_version);

}  // namespace millrace::cni_shim
