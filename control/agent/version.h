/// The version this program tells: meson's project version.
#pragma once

namespace millrace::control::agent {

inline constexpr const char* kVersion = MILLRACE_VERSION;

}  // namespace millrace::control::agent
