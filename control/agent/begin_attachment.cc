#include "control/agent/begin_attachment.h"

#include <optional>
#include <vector>

namespace millrace::control::agent {
namespace {

/// Each round adds a block, of which other calls may take all addresses; one family's turn may follow the other's.
constexpr int kBlockRounds = 8;

/// A family whose blocks have no address left.
net::Result<std::optional<std::uint8_t>> full_family(Store& store, const std::vector<AddressBlock>& blocks) {
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    std::uint64_t capacity = 0, used = 0;
    for (const AddressBlock& block : blocks) {
      if (block.family() != family) continue;
      auto of_block = store.used(block);
      if (!of_block) return of_block.error();
      used += *of_block;
      capacity += block.capacity();
    }
    if (capacity != 0 && used >= capacity) return std::optional(family);
  }
  return std::optional<std::uint8_t>();
}

}  // namespace

net::Result<Attachment> begin_attachment(Store& store, const NodeBlocks& blocks, const Attachment& planned,
                                         const Store::AddressRequest& request) {
  const auto try_once = [&] {
    return blocks.use([&](const std::vector<AddressBlock>& list) {
      Store::AddressRequest of_list = request;
      of_list.blocks = planned.dhcp ? nullptr : &list;
      return store.begin_add(planned, of_list);
    });
  };
  auto begun = try_once();
  for (int round = 0; round < kBlockRounds && !begun && blocks.can_grow(); ++round) {
    if (begun.error().code != net::ErrorCode::kResourceExhausted) return begun;
    auto family = full_family(store, blocks.all());
    if (!family) return family.error();
    if (*family) {
      if (auto grown = blocks.grow(**family); !grown) {
        return net::Error{grown.error().code, begun.error().message + "; another block: " + grown.error().message};
      }
    }
    begun = try_once();
  }
  return begun;
}

}  // namespace millrace::control::agent
