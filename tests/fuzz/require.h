/// What a fuzz target holds to be true of every input; where it is not, the target ends as libFuzzer wants it.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace millrace::tests {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "property does not hold: %s\n", what);
  std::abort();
}

}  // namespace millrace::tests
