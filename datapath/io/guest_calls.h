/// GuestCalls: calls to guests that no guest can keep waiting.
///
/// Theory:  a guest is called by an eventfd that it made, and it has the same open file. write() to an eventfd whose
///          count is full waits until somebody reads it, unless the file has O_NONBLOCK. Count and flag are the guest's
///          to change between any look at them and the write. What the kernel adds to an eventfd by itself never waits:
///          a count that is full stays as it is, and a guest that does not read its calls has been called. The kernel
///          does so for whoever asks to be told of the end of an asynchronous request by an eventfd
///          (IOCB_FLAG_RESFD). So a call is a request that ends at once, to read nothing from /dev/null.
/// Shape:   eventfd_write() is wrapped by the linker: DPDK's vhost library calls guests by it, in its bursts and in
///          rte_vhost_vring_call(), and gets this in its place. What it writes is always 1; any other value, and all
///          before open(), is written as ever.
/// Cost:    one system call for each call, as write() is: 0.55 us in place of 0.2, with nobody woken. A guest that polls
///          asks for no calls. The end of a process that has open() behind it takes 35 ms more.
/// Limits:  the threads share kContexts contexts of the process, each of which counts as one of fs.aio-max-nr.
/// Thread:  any. call: no lock but the kernel's, never allocates.
/// Source:  io_submit(2); Linux, fs/aio.c aio_complete, fs/eventfd.c eventfd_signal and eventfd_write.
#pragma once

#include "net/result.h"

namespace millrace::datapath::io {

class GuestCalls {
 public:
  static constexpr unsigned kContexts = 16;  // with more threads than that some share one

  /// The first time that it succeeds; nothing later.
  /// Errors:  kResourceExhausted, kFailedPrecondition: guests cannot be called, and why.
  static net::Result<void> open();
  /// Adds 1 to `eventfd`, or nothing where it is full. 0, or -1 with errno: it is no eventfd.
  /// Precondition: open() succeeded.
  static int call(int eventfd) noexcept;

  struct Table;
};

}  // namespace millrace::datapath::io
