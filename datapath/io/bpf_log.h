/// Sends what libbpf and libxdp print to the log's debug level, and keeps the last complaint for an error's text.
///
/// Thread:  any; both libraries have one print function a process.
#pragma once

#include <string>

namespace millrace::datapath::io {

/// Takes over the print functions; once is enough, more do no harm.
void redirect_bpf_log();

/// Last warning the calling thread's library calls printed, without the line's end; empty when there was none.
std::string last_bpf_warning();

}  // namespace millrace::datapath::io
