/// `-f FILE|DIR|-`: the objects of manifests on disk or from standard input.
///
/// Shape:   of a directory, its *.yaml, *.yml and *.json files in the order of their names, not those of directories in
///          it, as kubectl does it.
/// Errors:  kInvalidArgument: all errors of all files, one a line; kNotFound when there is no such file.
/// Thread:  one.
#pragma once

#include <string>
#include <vector>

#include "control/kube/manifest.h"
#include "net/result.h"

namespace millrace::control::cli {

/// An object that two files have is an error, too.
net::Result<kube::Manifests> read_manifests(const std::vector<std::string>& paths,
                                            const kube::ManifestOptions& options);

}  // namespace millrace::control::cli
