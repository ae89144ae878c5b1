/// Bad manifests as a table: each row is a manifest and every word of the answer.
///
/// Shape:   the file is called m.yaml.
/// Thread:  of the test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/kube/manifest.h"

namespace millrace::control::kube {

struct ErrorRow {
  const char* name;
  std::string text;
  std::string error;
};

inline void expect_errors(const std::vector<ErrorRow>& rows) {
  for (const ErrorRow& row : rows) {
    SCOPED_TRACE(row.name);
    const auto manifests = parse_manifests(row.text, "m.yaml");
    ASSERT_FALSE(manifests.ok());
    EXPECT_EQ(manifests.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_EQ(manifests.error().message, row.error);
  }
}

}  // namespace millrace::control::kube
