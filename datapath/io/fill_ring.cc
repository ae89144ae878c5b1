#include "datapath/io/fill_ring.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "datapath/port.h"

namespace millrace::datapath::io {
namespace {

/// Lies outside of every UMEM.
constexpr std::uint64_t kBlank = XSK_UNALIGNED_BUF_ADDR_MASK;

/// True when position `a` of a ring comes before `b`; positions wrap.
bool before(std::uint32_t a, std::uint32_t b) noexcept { return static_cast<std::int32_t>(a - b) < 0; }

}  // namespace

FillRing::FillRing(xsk_ring_prod& ring, MbufPool& pool, FrameLedger& ledger, std::uint32_t limit,
                   bool kernel_copies) noexcept
    : ring_(ring), pool_(pool), ledger_(ledger), limit_(std::max(limit, kFloorFrames)), kernel_copies_(kernel_copies) {
  FillBudget& budget = pool_.fill_budget();
  const std::uint32_t start = std::min(kStartFrames, limit_);
  budget.take_floor(kFloorFrames);
  if (budget.ample() && budget.take(start - kFloorFrames)) target_ = start;
  top_up();
}

FillRing::~FillRing() { pool_.fill_budget().give(target_); }

void FillRing::grow() noexcept {
  const std::uint32_t next = std::min(target_ * 2, limit_);
  if (next > target_ && pool_.fill_budget().take(next - target_)) target_ = next;
}

void FillRing::top_up() noexcept {
  std::array<std::uint64_t, kBurst> offsets;
  std::uint32_t added = 0;
  while (held_ < target_) {
    std::uint32_t n = std::min<std::uint32_t>(target_ - held_, kBurst);
    std::uint32_t position = 0;
    if (xsk_prod_nb_free(&ring_, n) < n) break;
    // An almost empty pool may still have a few.
    while (n > 0 && !pool_.allocate_frames(std::span(offsets).first(n))) n /= 2;
    if (n == 0) break;
    xsk_ring_prod__reserve(&ring_, n, &position);
    for (std::uint32_t i = 0; i < n; ++i) {
      ledger_.give(pool_.index_of(offsets[i]));
      *xsk_ring_prod__fill_addr(&ring_, position + i) = offsets[i];
    }
    held_ += n;
    added += n;
  }
  if (added != 0) xsk_ring_prod__submit(&ring_, added);
}

void FillRing::give_back() noexcept {
  const auto consumed = [this] { return __atomic_load_n(ring_.consumer, __ATOMIC_ACQUIRE); };
  idle_turns_ = 0;
  if (!kernel_copies_ || before(consumed(), blank_end_)) return;
  std::uint32_t end = ring_.cached_prod;
  blank_end_ = end;
  std::array<std::uint64_t, kBurst> frames;
  // From the far end, a piece at a time, never nearer to the kernel than it may be ahead of what it has published.
  while (end - consumed() >= 2 * kFloorFrames + kBurst) {
    const std::uint32_t start = end - kBurst;
    for (std::uint32_t i = 0; i < kBurst; ++i) {
      frames[i] = __atomic_exchange_n(xsk_ring_prod__fill_addr(&ring_, start + i), kBlank, __ATOMIC_RELAXED);
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // If the kernel ran up to these entries meanwhile, nobody can say which of them it has read: they stay in the
    // ledger until the port is closed.
    if (before(start, consumed() + kFloorFrames)) break;
    for (const std::uint64_t frame : frames) ledger_.take_back(pool_.index_of(frame));
    pool_.release_frames(frames);
    held_ -= kBurst;
    end = start;
  }
  const std::uint32_t keep = std::clamp((held_ + kBurst - 1) / kBurst * kBurst, kFloorFrames, target_);
  pool_.fill_budget().give(target_ - keep);
  target_ = keep;
}

}  // namespace millrace::datapath::io
