#include "datapath/io/guest_calls.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

// The linker's names (ld, --wrap): whoever calls eventfd_write() in this program calls the second.
extern "C" {
int __real_eventfd_write(int descriptor, eventfd_t value);
int __wrap_eventfd_write(int descriptor, eventfd_t value);
}

namespace millrace::datapath::io {

/// Written by open() alone, before is_open. Contexts end with the process: to end one takes the kernel 30 ms, to end all
/// at once no longer.
struct GuestCalls::Table {
  std::mutex opening;
  std::atomic<bool> is_open{false};
  int nothing = -1;  // /dev/null
  std::array<aio_context_t, kContexts> contexts{};
  unsigned count = 0;
  std::atomic<unsigned> threads{0};

  aio_context_t context() noexcept {
    thread_local const unsigned number = threads.fetch_add(1, std::memory_order_relaxed);
    return contexts[number % count];
  }
};

namespace {

constinit GuestCalls::Table table;

/// The kernel keeps the end of each request until somebody asks, and takes no more of them when it has about a hundred.
void forget_ended(aio_context_t context) noexcept {
  constexpr long kAtOnce = 64;
  std::array<io_event, kAtOnce> ended;
  timespec at_once{};
  ::syscall(SYS_io_getevents, context, 0L, kAtOnce, ended.data(), &at_once);
}

}  // namespace

net::Result<void> GuestCalls::open() {
  const std::lock_guard lock(table.opening);
  if (table.is_open.load(std::memory_order_relaxed)) return {};
  if (table.nothing < 0) table.nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (table.nothing < 0) return net::failed_precondition(fmt::format("/dev/null: {}", std::strerror(errno)));
  while (table.count < kContexts && ::syscall(SYS_io_setup, 1, &table.contexts[table.count]) == 0) ++table.count;
  if (table.count == 0) {
    const int code = errno;
    if (code == EAGAIN) return net::resource_exhausted("io_setup: fs.aio-max-nr requests are in use on this machine");
    return net::failed_precondition(fmt::format("io_setup: {}", std::strerror(code)));
  }
  table.is_open.store(true, std::memory_order_release);
  return {};
}

int GuestCalls::call(int eventfd) noexcept {
  // Another thread of the context may be the one for whom the first forgets.
  constexpr unsigned kTries = 3;
  iocb request{};
  request.aio_lio_opcode = IOCB_CMD_PREAD;
  request.aio_fildes = static_cast<std::uint32_t>(table.nothing);
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = static_cast<std::uint32_t>(eventfd);
  std::array<iocb*, 1> requests{&request};
  const aio_context_t context = table.context();
  for (unsigned i = 0; i < kTries; ++i) {
    if (::syscall(SYS_io_submit, context, 1L, requests.data()) == 1) return 0;
    if (errno != EAGAIN) return -1;
    forget_ended(context);
  }
  return -1;
}

}  // namespace millrace::datapath::io

extern "C" int __wrap_eventfd_write(int descriptor, eventfd_t value) {
  using millrace::datapath::io::GuestCalls;
  using millrace::datapath::io::table;
  if (value != 1 || !table.is_open.load(std::memory_order_acquire)) return __real_eventfd_write(descriptor, value);
  return GuestCalls::call(descriptor);
}
