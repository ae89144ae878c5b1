#include "control/agent/address_block.h"

#include <gtest/gtest.h>

namespace millrace::control::agent {
namespace {

struct Row {
  const char* name;
  const char* pool;
  int block_bits;
  unsigned block_index;
  const char* block;
  const char* host;
  const char* first_pod;
  const char* last_pod;
  unsigned capacity;
};

constexpr Row kRows[] = {
    {"the default", "10.244.0.0/16", 24, 0, "10.244.0.0/24", "10.244.0.1", "10.244.0.2", "10.244.0.254", 253},
    {"the last block", "10.244.0.0/16", 24, 255, "10.244.255.0/24", "10.244.255.1", "10.244.255.2", "10.244.255.254",
     253},
    {"a block that is the pool", "10.0.0.0/24", 24, 0, "10.0.0.0/24", "10.0.0.1", "10.0.0.2", "10.0.0.254", 253},
    {"the least there is", "10.0.0.0/28", 30, 3, "10.0.0.12/30", "10.0.0.13", "10.0.0.14", "10.0.0.14", 1},
    {"not at a byte's border", "10.0.0.0/16", 26, 5, "10.0.1.64/26", "10.0.1.65", "10.0.1.66", "10.0.1.126", 61},
    {"a carry over two bytes", "10.0.0.0/8", 24, 65535, "10.255.255.0/24", "10.255.255.1", "10.255.255.2",
     "10.255.255.254", 253},
    {"IPv6 has no broadcast", "fd00:10:244::/112", 120, 0, "fd00:10:244::/120", "fd00:10:244::1", "fd00:10:244::2",
     "fd00:10:244::ff", 254},
    {"a large block is used up to the bound", "fd00::/56", 64, 7, "fd00:0:0:7::/64", "fd00:0:0:7::1", "fd00:0:0:7::2",
     "fd00:0:0:7::ffff", 65534},
};

TEST(AddressBlock, cuts_a_pool_into_blocks) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    auto pool = net::Prefix::parse(row.pool);
    ASSERT_TRUE(pool.ok());
    auto block = AddressBlock::make(*pool, static_cast<std::uint8_t>(row.block_bits), row.block_index);
    ASSERT_TRUE(block.ok()) << block.error().message;
    EXPECT_EQ(block->block().to_string(), row.block);
    EXPECT_EQ(block->host().to_string(), row.host);
    EXPECT_EQ(block->first_pod().to_string(), row.first_pod);
    EXPECT_EQ(block->last_pod().to_string(), row.last_pod);
    EXPECT_EQ(block->capacity(), row.capacity);
    EXPECT_TRUE(block->is_for_pods(block->first_pod()));
    EXPECT_TRUE(block->is_for_pods(block->last_pod()));
    EXPECT_FALSE(block->is_for_pods(block->host()));
    EXPECT_FALSE(block->is_for_pods(block->at(0)));
    EXPECT_FALSE(block->is_for_pods(block->at(block->last_index() + 1)));
  }
}

TEST(AddressBlock, refuses_what_cannot_be) {
  struct Bad {
    const char* name;
    const char* pool;
    int block_bits;
    unsigned block_index;
    const char* says;
  };
  constexpr Bad kBad[] = {
      {"shorter than the pool", "10.244.0.0/16", 15, 0, "16..30"},
      {"no room for a pod", "10.244.0.0/16", 31, 0, "16..30"},
      {"a block past the pool", "10.244.0.0/16", 24, 256, "0..255"},
      {"the second block of one", "fd00::/120", 120, 1, "0..0"},
  };
  for (const Bad& row : kBad) {
    SCOPED_TRACE(row.name);
    auto block =
        AddressBlock::make(*net::Prefix::parse(row.pool), static_cast<std::uint8_t>(row.block_bits), row.block_index);
    ASSERT_FALSE(block.ok());
    EXPECT_EQ(block.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_NE(block.error().message.find(row.says), std::string::npos) << block.error().message;
  }
}

}  // namespace
}  // namespace millrace::control::agent
