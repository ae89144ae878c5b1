// The byte forms of gRPC.
#include "cni-shim/grpc_wire.h"

#include <gtest/gtest.h>

namespace millrace::cni_shim {
namespace {

TEST(GrpcWire, PercentDecodes) {
  const std::pair<std::string, std::string> rows[] = {
      {"", ""},
      {"plain text", "plain text"},
      {"100%25", "100%"},
      {"pool%20%2210.0.0.0%2F24%22", "pool \"10.0.0.0/24\""},
      {"%C3%BC%c3%bc", "üü"},
      {"broken % here", "broken % here"},
      {"%", "%"},
      {"%4", "%4"},
      {"%zz%41", "%zzA"},
  };
  for (const auto& [coded, text] : rows) EXPECT_EQ(percent_decoded(coded), text) << coded;
}

TEST(GrpcWire, ReadsStatusCodes) {
  EXPECT_EQ(parse_grpc_status("0"), GrpcCode::kOk);
  EXPECT_EQ(parse_grpc_status("8"), GrpcCode::kResourceExhausted);
  EXPECT_EQ(parse_grpc_status("16"), GrpcCode::kUnauthenticated);
  for (const std::string text : {"", "17", "-1", "x", "1x", "99999999999999999999"}) {
    EXPECT_EQ(parse_grpc_status(text), GrpcCode::kUnknown) << text;
  }
}

TEST(GrpcWire, FramesAndUnframes) {
  EXPECT_EQ(framed("abc"), std::string("\0\0\0\0\3abc", 8));
  for (const std::string& payload : {std::string(), std::string("x"), std::string(70'000, 'y')}) {
    const auto back = unframed(framed(payload));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, payload);
  }
}

TEST(GrpcWire, RefusesBodiesThatAreNotOneMessage) {
  const std::string rows[] = {"",
                              std::string("\0\0\0\0", 4),
                              std::string("\1\0\0\0\1a", 6),
                              std::string("\0\0\0\0\2a", 6),
                              framed("a") + framed("b"),
                              std::string("\0\xff\xff\xff\xff", 5)};
  for (const std::string& body : rows) {
    const auto message = unframed(body);
    ASSERT_FALSE(message.ok());
    EXPECT_TRUE(message.error().not_grpc);
  }
}

}  // namespace
}  // namespace millrace::cni_shim
