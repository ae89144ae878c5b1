// Addresses and prefixes: text forms in and out.

#include "net/address.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace::net {
namespace {

TEST(Mac, ReadsAndWritesText) {
  EXPECT_EQ(Mac::parse("02:AB:cd:00:0f:ff")->to_string(), "02:ab:cd:00:0f:ff");
  for (const char* bad : {"", "02:ab:cd:00:0f", "02:ab:cd:00:0f:ff:", "02-ab-cd-00-0f-ff", "02:ab:cd:00:0f:fg",
                          "2:ab:cd:00:0f:ff0", "02:ab:cd:00:0f:f "}) {
    EXPECT_FALSE(Mac::parse(bad)) << bad;
  }
  EXPECT_TRUE(Mac::parse("ff:ff:ff:ff:ff:ff")->is_multicast());
  EXPECT_TRUE(Mac::parse("01:00:5e:00:00:01")->is_multicast());
  EXPECT_FALSE(Mac::parse("02:00:00:00:00:01")->is_multicast());
}

TEST(IpAddress, ReadsAndWritesText) {
  const std::vector<std::pair<const char*, const char*>> good = {
      {"10.0.0.1", "10.0.0.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"FD00:0:0:0:0:0:0:1", "fd00::1"},                 // RFC 5952 4.2.1, 4.3
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // 4.2.3: the first of equal runs
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2: no :: for one group
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
  };
  for (const auto& [text, written] : good) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), written);
  }
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const std::string_view bad :
       {std::string_view(""), std::string_view("10.0.0"), std::string_view("10.0.0.256"), std::string_view("10.0.0.01"),
        std::string_view("10.0.0.1 "), std::string_view("10.0.0.1\0x", 10), std::string_view("10.0.0.1/8"),
        std::string_view("fe80::1%eth0"), std::string_view("1::2::3"), std::string_view("12345::"),
        std::string_view("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000")}) {
    const auto address = IpAddress::parse(bad);
    ASSERT_FALSE(address) << bad;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(IpAddress, ErrorsShowTheTextButNotWhatATerminalActsOn) {
  const auto address = IpAddress::parse("1.2.3\x1b[2J");
  ASSERT_FALSE(address);
  EXPECT_NE(address.error().message.find("\"1.2.3?[2J\""), std::string::npos) << address.error().message;
  EXPECT_LT(IpAddress::parse(std::string(5000, '1')).error().message.size(), 200u);
}

TEST(IpAddress, IsItsBytes) {
  const std::vector<std::uint8_t> four = {10, 0, 0, 1};
  EXPECT_EQ(*IpAddress::from_bytes(four), *IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(IpAddress::from_bytes(four)->v4(), *Ipv4::parse("10.0.0.1"));
  const Ipv6 six = *Ipv6::parse("fd00::7");
  EXPECT_EQ(IpAddress::from_bytes(six.bytes)->v6(), six);
  EXPECT_EQ(IpAddress::from(six).raw().size(), 16u);
  for (const std::size_t size : {0u, 3u, 5u, 15u, 17u}) {
    EXPECT_FALSE(IpAddress::from_bytes(std::vector<std::uint8_t>(size)));
  }
  EXPECT_NE(*IpAddress::parse("0.0.0.0"), *IpAddress::parse("::")) << "families differ";
}

TEST(IpAddress, KnowsItsKind) {
  EXPECT_TRUE(Ipv4::parse("224.0.0.1")->is_multicast());
  EXPECT_TRUE(Ipv4::parse("239.255.255.255")->is_multicast());
  EXPECT_FALSE(Ipv4::parse("240.0.0.1")->is_multicast());
  EXPECT_TRUE(Ipv4::parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(Ipv6::parse("::1")->is_loopback());
  EXPECT_FALSE(Ipv6::parse("1::1")->is_loopback());
  EXPECT_TRUE(Ipv6::parse("::")->is_unspecified());
  EXPECT_FALSE(Ipv6::parse("::1")->is_unspecified());
  EXPECT_TRUE(Ipv6::parse("febf::1")->is_link_local());
  EXPECT_FALSE(Ipv6::parse("fec0::1")->is_link_local());
}

TEST(Prefix, ReadsAndWritesText) {
  for (const char* text :
       {"0.0.0.0/0", "10.244.0.0/16", "10.0.0.1/32", "::/0", "fd00:10:244::/64", "fd00::1/128", "10.128.0.0/9"}) {
    const auto prefix = Prefix::parse(text);
    ASSERT_TRUE(prefix) << text;
    EXPECT_EQ(prefix->to_string(), text);
  }
  for (const char* bad : {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8 ",
                          "/8", "10.0.0.0/99999999999", "10.0.0.0/8/8"}) {
    EXPECT_FALSE(Prefix::parse(bad)) << bad;
  }
}

TEST(Prefix, RefusesHostBitsAndSaysWhatWasMeant) {
  const auto prefix = Prefix::parse("10.244.3.7/16");
  ASSERT_FALSE(prefix);
  EXPECT_NE(prefix.error().message.find("10.244.0.0/16"), std::string::npos) << prefix.error().message;
}

TEST(Prefix, HoldsItsAddresses) {
  struct Row {
    const char* prefix;
    const char* address;
    bool contains;
  };
  for (const Row& row : std::vector<Row>{{"10.244.0.0/16", "10.244.255.255", true},
                                         {"10.244.0.0/16", "10.245.0.0", false},
                                         {"10.128.0.0/9", "10.255.0.1", true},
                                         {"10.128.0.0/9", "10.127.255.255", false},
                                         {"0.0.0.0/0", "1.2.3.4", true},
                                         {"0.0.0.0/0", "::", false},
                                         {"::/0", "fd00::1", true},
                                         {"fd00::/127", "fd00::1", true},
                                         {"fd00::/127", "fd00::2", false},
                                         {"10.0.0.1/32", "10.0.0.1", true}}) {
    EXPECT_EQ(Prefix::parse(row.prefix)->contains(*IpAddress::parse(row.address)), row.contains)
        << row.prefix << " " << row.address;
  }
}

}  // namespace
}  // namespace millrace::net
