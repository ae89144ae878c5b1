#include "cni-shim/grpc_wire.h"

#include <charconv>

namespace millrace::cni_shim {
namespace {

CallFailure not_grpc(std::string message) { return {GrpcCode::kInternal, std::move(message), false, true}; }

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

GrpcCode parse_grpc_status(std::string_view text) noexcept {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || value > static_cast<unsigned>(GrpcCode::kUnauthenticated)) return GrpcCode::kUnknown;
  return static_cast<GrpcCode>(value);
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string framed(std::string_view payload) {
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::string out(1, '\0');
  for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>((length >> shift) & 0xff);
  return out.append(payload);
}

CallResult<std::string> unframed(std::string_view body) {
  if (body.size() < kFrameHeaderBytes) return not_grpc("the agent's answer holds no message");
  if (body[0] != '\0') return not_grpc("the agent's answer is compressed, which was not offered");
  std::size_t length = 0;
  for (const char c : body.substr(1, 4)) length = length << 8 | static_cast<std::uint8_t>(c);
  body.remove_prefix(kFrameHeaderBytes);
  if (length != body.size()) {
    return not_grpc("the agent's answer says " + std::to_string(length) + " bytes and has " +
                    std::to_string(body.size()));
  }
  return std::string(body);
}

GrpcCode code_of_reset(std::uint32_t http2_error) noexcept {
  switch (http2_error) {
    case 0x7: return GrpcCode::kUnavailable;        // REFUSED_STREAM
    case 0x8: return GrpcCode::kCancelled;          // CANCEL
    case 0xb: return GrpcCode::kResourceExhausted;  // ENHANCE_YOUR_CALM
    case 0xc: return GrpcCode::kPermissionDenied;   // INADEQUATE_SECURITY
    default: return GrpcCode::kInternal;
  }
}

}  // namespace millrace::cni_shim
